import Primitives

/// One version of an object, as the source of a node's missing pages.
public struct ObjectSource: Sendable, Equatable {
    public var key: ByteString
    public var etag: ETag
    public var sizeBytes: Int64

    public init(key: ByteString, etag: ETag, sizeBytes: Int64) {
        self.key = key
        self.etag = etag
        self.sizeBytes = sizeBytes
    }
}
