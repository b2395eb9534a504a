/// MD5 (RFC 1321): 16 bytes. Broken as a cryptographic hash; only for `Content-MD5` and for ETags, which are MD5.
public enum MD5 {
    public static func hash(_ bytes: UnsafeRawBufferPointer) -> [UInt8] { Algorithm.md5.hash(bytes) }
    public static func hash(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes { Algorithm.md5.hash($0) } }
}

/// MD5 of bytes that come in pieces. A value: a copy goes its own way.
public struct MD5Hasher: Sendable {
    private var digest = Digest(.md5)

    public init() {}

    public mutating func update(_ bytes: UnsafeRawBufferPointer) { digest.update(bytes) }
    public mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { digest.update($0) } }

    /// The hash of what came so far; more may follow.
    public func finish() -> [UInt8] { digest.finish() }
}
