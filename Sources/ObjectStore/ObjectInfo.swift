import Primitives

/// What a store calls one version of an object, opaque: quotes included where the store sends them.
/// Two equal tags of one key mean equal content (RFC 9110 section 8.8.3).
public struct ETag: Hashable, Sendable, CustomStringConvertible {
    public let value: String
    public init(_ value: String) { self.value = value }
    public var description: String { value }
}

/// User metadata: names in lower case, without the dialect's prefix (`x-amz-meta-`).
public typealias Metadata = [String: String]

/// What a store says about one version of an object.
public struct ObjectInfo: Sendable, Equatable {
    public var key: ByteString
    public var sizeBytes: Int64
    /// nil where the store has none to give (some list without them).
    public var etag: ETag?
    public var lastModified: Timestamp
    /// nil when this answer doesn't carry metadata (listings don't); empty when the object has none.
    public var metadata: Metadata?
    public var contentType: String?

    public init(
        key: ByteString, sizeBytes: Int64, etag: ETag?, lastModified: Timestamp, metadata: Metadata? = nil,
        contentType: String? = nil
    ) {
        self.key = key
        self.sizeBytes = sizeBytes
        self.etag = etag
        self.lastModified = lastModified
        self.metadata = metadata
        self.contentType = contentType
    }
}

/// A part of a listing, in the order in which the store gave it.
public struct ListPage: Sendable {
    public var objects: [ObjectInfo]
    /// With a delimiter: the prefixes under which there is more, each with the trailing `/`.
    public var prefixes: [ByteString]
    /// Where the next page begins (`ListPosition.page`); nil when this was the last one.
    public var next: String?

    public init(objects: [ObjectInfo] = [], prefixes: [ByteString] = [], next: String? = nil) {
        self.objects = objects
        self.prefixes = prefixes
        self.next = next
    }
}

/// Bytes of an object and the version that they come from.
public struct ObjectBody: Sendable {
    public var info: ObjectInfo
    public var bytes: [UInt8]

    public init(info: ObjectInfo, bytes: [UInt8]) {
        self.info = info
        self.bytes = bytes
    }
}
