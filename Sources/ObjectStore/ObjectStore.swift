import Primitives

/// What must hold in the bucket for a write or a delete to be carried out.
public enum Condition: Sendable, Equatable {
    case none
    /// No object has the key (`If-None-Match: *`).
    case absent
    /// The key's present version is this one (`If-Match`).
    case matches(ETag)
}

/// What a store can really do, found out once per bucket by trying, not by believing.
public struct StoreCapabilities: Sendable, Equatable {
    /// `Condition.absent` is enforced on writes.
    public var writesIfAbsent = true
    /// `Condition.matches` is enforced on writes.
    public var writesIfMatch = true
    /// Unchanged ranges can be taken from an object without sending them.
    public var copiesRanges = true
    /// The store refuses a body that differs from the checksum sent with it.
    public var verifiesChecksums = true
    /// `a`, `a/` and `a/b` can exist at once, and `a/` keeps its metadata.
    public var keepsDirectoryMarkers = true
    /// An empty object `a/` can be written and is not taken for something else.
    public var acceptsDirectoryMarkers = true
    /// Smallest range, in bytes, that is worth taking unchanged from a base (S3: a part of 5 MiB).
    public var rangeGranularityBytes: Int64 = 5 << 20
    /// Largest object in bytes.
    public var maximumObjectBytes: Int64 = 5 << 40
    /// Longest key in bytes.
    public var maximumKeyBytes = 1024
    /// Most bytes of user metadata, names and values together.
    public var maximumMetadataBytes = 2048

    public init() {}
}

/// One bucket: keys and the versions of objects under them.
///
/// The contract, checked for every store by `StoreConformance`:
/// - A write makes a new version visible whole or not at all. A read with `ifMatch` gives bytes of that version or fails.
/// - After a write, copy or delete has returned, every read and list sees it.
/// - An error of `StoreError.mayHaveHappened` says nothing about whether the request took effect.
/// - Keys are bytes; a store that can't hold one refuses it (`.refused`) and changes nothing.
/// - Cancellation of the calling task ends the request soon and throws `.cancelled`.
/// - Calls may be made from any thread, any number at once; the store bounds what it does at a time.
/// - No call retries by itself beyond what the contract of the call needs (see `Layers.Retrying`).
public protocol ObjectStore: Sendable {
    /// For people, without secrets: `s3://bucket`.
    var name: String { get }

    /// What this bucket's store can do. The first call may probe the bucket (it writes and removes objects under
    /// `.pail/probe-…`, if it may write) and take some requests; later ones answer at once.
    func capabilities() async throws(StoreError) -> StoreCapabilities

    /// The keys that begin with `prefix`. With `delimited`, keys with a `/` after the prefix are rolled up into
    /// `prefixes`. At most `limit` (1...1000) entries, from the beginning if `from` is nil.
    func list(
        prefix: ByteString, delimited: Bool, from: ListPosition?, limit: Int
    ) async throws(StoreError) -> ListPage

    /// The present version's description, metadata included. `.notFound` if there is none.
    func head(_ key: ByteString) async throws(StoreError) -> ObjectInfo

    /// The bytes in `range` (nil: all), clipped to the object's end; an empty result beyond it. With `ifMatch`,
    /// `.conditionFailed` if the present version is another. The length and, for whole objects where the store states
    /// one, the checksum are verified: `.corrupt` otherwise. Callers bound the range: all of it is held in memory.
    func read(_ key: ByteString, range: ByteRange?, ifMatch: ETag?) async throws(StoreError) -> ObjectBody

    /// As above, for a range that lies within the object, with the bytes given away as they come. Bytes of another
    /// version are not given, nor any that the store states a checksum for before that is verified; what was given
    /// before a failure is right. All of the range was given when this returns.
    func read(_ key: ByteString, range: ByteRange, ifMatch: ETag, into sink: any ByteSink) async throws(StoreError)

    /// Replaces the key's object by what the plan describes. Returns the new version (key, size, etag; time and
    /// metadata where known). `.conditionFailed` if `condition` doesn't hold, or if the plan's base is gone.
    func write(
        _ plan: UploadPlan, to key: ByteString, metadata: Metadata, contentType: String?, condition: Condition
    ) async throws(StoreError) -> ObjectInfo

    /// Begins a write of which parts are sent before the rest is known; nil if this store can't. The metadata and the
    /// content type given here are the object's. End it by a `write` to the key whose plan names it, whatever comes of
    /// that, or by `abandon`.
    func start(
        _ key: ByteString, metadata: Metadata, contentType: String?
    ) async throws(StoreError) -> (any StartedWrite)?

    /// Makes `destination` a copy of the version `etag` (nil: present) of `source`, with this metadata and content type
    /// (nil: the source's own), without the bytes coming here. `source` may be `destination` if metadata is given.
    /// `.conditionFailed` if the source has another version, or if `condition` on the destination doesn't hold.
    /// Stores that can't check `condition` on copies check it just before.
    func copy(
        _ source: ByteString, etag: ETag?, to destination: ByteString, metadata: Metadata?, contentType: String?,
        condition: Condition
    ) async throws(StoreError) -> ObjectInfo

    /// Removes the object; that it doesn't exist is no error. With `.matches`, only that version
    /// (`.conditionFailed` otherwise); stores that can't check it on deletes check it just before.
    func delete(_ key: ByteString, condition: Condition) async throws(StoreError)

    /// Removes many (at most 1000); for each key nil or why not, in the order given.
    func delete(_ keys: [ByteString]) async throws(StoreError) -> [StoreError?]

    /// Removes what unfinished writes older than `ageMilliseconds` have left in the bucket (multipart uploads,
    /// temporary files). Returns how many.
    func removeLeftovers(olderThanMilliseconds ageMilliseconds: Int64) async throws(StoreError) -> Int
}
