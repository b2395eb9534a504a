/// Bytes that name something: a file name or an object key.
///
/// Not a `String`: two Swift strings are equal when they are canonically equivalent, two file names and two object
/// keys only when their bytes are. Ordered by bytes, as buckets list their keys.
public struct ByteString: Hashable, Comparable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    public var bytes: [UInt8]

    public init() { bytes = [] }
    public init(bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }
    public init(_ string: some StringProtocol) { bytes = Array(string.utf8) }
    public init(stringLiteral value: String) { bytes = Array(value.utf8) }

    /// The bytes up to the first NUL of a C string.
    public init(cString: UnsafePointer<CChar>) {
        bytes = []
        var pointer = cString
        while pointer.pointee != 0 {
            bytes.append(UInt8(bitPattern: pointer.pointee))
            pointer += 1
        }
    }

    public var count: Int { bytes.count }
    public var isEmpty: Bool { bytes.isEmpty }

    /// For people: bytes that are not UTF-8 are shown as U+FFFD.
    public var description: String { String(decoding: bytes, as: UTF8.self) }

    /// The text, or nil if the bytes are not valid UTF-8.
    public var text: String? { String(validating: bytes, as: UTF8.self) }

    public func hasPrefix(_ prefix: ByteString) -> Bool { bytes.starts(with: prefix.bytes) }

    public func hasSuffix(_ suffix: ByteString) -> Bool {
        bytes.count >= suffix.count && bytes.suffix(suffix.count).elementsEqual(suffix.bytes)
    }

    public func dropFirst(_ number: Int) -> ByteString { ByteString(bytes: bytes.dropFirst(number)) }
    public func dropLast(_ number: Int) -> ByteString { ByteString(bytes: bytes.dropLast(number)) }

    /// The parts between the separators, empty ones included.
    public func split(separator: UInt8) -> [ByteString] {
        bytes.split(separator: separator, omittingEmptySubsequences: false).map { ByteString(bytes: $0) }
    }

    public static func + (left: ByteString, right: ByteString) -> ByteString {
        ByteString(bytes: left.bytes + right.bytes)
    }

    public static func < (left: ByteString, right: ByteString) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}
