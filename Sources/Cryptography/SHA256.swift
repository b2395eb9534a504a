/// SHA-256 (FIPS 180-4): 32 bytes.
public enum SHA256 {
    public static func hash(_ bytes: UnsafeRawBufferPointer) -> [UInt8] { Algorithm.sha256.hash(bytes) }
    public static func hash(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes { Algorithm.sha256.hash($0) } }
}

/// SHA-256 of bytes that come in pieces. A value: a copy goes its own way.
public struct SHA256Hasher: Sendable {
    private var digest = Digest(.sha256)

    public init() {}

    public mutating func update(_ bytes: UnsafeRawBufferPointer) { digest.update(bytes) }
    public mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { digest.update($0) } }

    /// The hash of what came so far; more may follow.
    public func finish() -> [UInt8] { digest.finish() }
}
