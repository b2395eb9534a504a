import CSystem

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of bytes that come in pieces.
public struct CRC32C: Hashable, Sendable {
    /// The checksum of what came so far.
    public private(set) var value: UInt32 = 0

    public init() {}

    /// The checksum of `bytes`.
    public init(_ bytes: UnsafeRawBufferPointer) { update(bytes) }
    public init(_ bytes: [UInt8]) { update(bytes) }

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        value = pail_crc32c(value, bytes.baseAddress, bytes.count)
    }

    public mutating func update(_ bytes: [UInt8]) {
        value = bytes.withUnsafeBytes { pail_crc32c(value, $0.baseAddress, $0.count) }
    }

    /// Big-endian bytes in Base64, as `x-amz-checksum-crc32c` and `x-goog-hash` have it.
    public var base64: String { Base64.encode(withUnsafeBytes(of: value.bigEndian) { Array($0) }) }
}
