import Cryptography
import Glibc
import ObjectStore
import Primitives

/// A directory as a bucket: each object is a plain file at its key's path.
///
/// - `d/` is a directory that is empty or that was written as a marker; other directories come and go with their files.
/// - Metadata is in the extended attribute `user.pail.meta` (see `MetadataKeeper`).
/// - A version is written to `.pail-store/tmp`, synced and renamed into place: whole or not at all, and there after a
///   power loss once the call has returned. Its tag is made of inode, size and times, so that edits by hand show too.
/// - Conditions hold against all users of this store, in this and in other processes, by locks in `.pail-store/locks`.
/// - Symbolic links, devices, sockets and pipes are no objects: neither followed nor listed nor replaced.
/// - Keys that a directory can't hold (`a//b`, `../a`, `a` beside `a/b`, parts of over 255 bytes) are refused.
public final class LocalStore: ObjectStore {
    /// What fits a path (PATH_MAX).
    public static let maximumKeyBytes = 4095
    /// Calls that wait for the disk at a time.
    private static let maximumThreads = 8
    private static let maximumBatch = 1000

    public let name: String
    private let path: String
    private let avoidsAttributes: Bool
    private let clock: VersionClock
    private let remembered = RememberedNames()
    private let pool = WorkerPool(threads: maximumThreads)

    /// The directory need not exist yet; until it does, every call fails with `noBucket`.
    public convenience init(path: String, time: any TimeSource = SystemTime()) {
        self.init(path: path, avoidsAttributes: false, time: time)
    }

    /// With `avoidsAttributes` as on a file system that has no extended attributes.
    init(path: String, avoidsAttributes: Bool, time: any TimeSource = SystemTime()) {
        self.avoidsAttributes = avoidsAttributes
        self.path = path
        name = "file://\(path)"
        clock = VersionClock(time)
    }

    public func capabilities() async throws(StoreError) -> StoreCapabilities {
        try await run("capabilities", nil) { (_, _) throws(StoreError) in
            var capabilities = StoreCapabilities()
            capabilities.keepsDirectoryMarkers = false
            capabilities.rangeGranularityBytes = 4096
            capabilities.maximumObjectBytes = 1 << 43
            capabilities.maximumKeyBytes = Self.maximumKeyBytes
            return capabilities
        }
    }

    public func list(
        prefix: ByteString, delimited: Bool, from: ListPosition?, limit: Int
    ) async throws(StoreError) -> ListPage {
        try await run("list", prefix) { [remembered] bucket, request throws(StoreError) in
            let position = try Self.position(from, request)
            guard (1...1000).contains(limit) else { throw request.error(.refused, "limit \(limit)") }
            var listing = Listing(
                bucket, prefix: prefix, delimited: delimited, after: position, limit: limit, remembered, request)
            try listing.run()
            return listing.page
        }
    }

    /// The last key or prefix of the page before.
    private static func position(_ from: ListPosition?, _ request: Request) throws(StoreError) -> ByteString? {
        switch from {
        case nil: return nil
        case .page(let text):
            guard let bytes = Hexadecimal.decode(text) else {
                throw request.error(.refused, "not a position of this store")
            }
            return ByteString(bytes: bytes)
        // All of a directory is read for its first page, wherever that begins.
        case .after: throw request.error(.unsupported, "a directory is read from its beginning")
        }
    }

    public func head(_ key: ByteString) async throws(StoreError) -> ObjectInfo {
        try await run("head", key) { bucket, request throws(StoreError) in
            guard let object = try bucket.object(key, request) else { throw request.error(.notFound) }
            return object.info
        }
    }

    public func read(
        _ key: ByteString, range: ByteRange?, ifMatch: ETag?
    ) async throws(StoreError) -> ObjectBody {
        try await run("read", key) { bucket, request throws(StoreError) in
            try bucket.read(key, range: range, ifMatch: ifMatch, request)
        }
    }

    public func write(
        _ plan: UploadPlan, to key: ByteString, metadata: Metadata, contentType: String?, condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        try await run("write", key) { bucket, request throws(StoreError) in
            try Self.check(metadata, request)
            let description = Bucket.Description(metadata: metadata, contentType: contentType, condition: condition)
            return try bucket.write(plan, to: key, description, request)
        }
    }

    public func copy(
        _ source: ByteString, etag: ETag?, to destination: ByteString, metadata: Metadata?, contentType: String?,
        condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        try await run("copy", source) { bucket, request throws(StoreError) in
            try Self.check(metadata ?? [:], request)
            return try bucket.copy(
                source, etag: etag, to: destination, metadata: metadata, contentType: contentType,
                condition: condition, request)
        }
    }

    public func delete(_ key: ByteString, condition: Condition) async throws(StoreError) {
        try await run("delete", key) { bucket, request throws(StoreError) in
            try bucket.delete(key, condition, request)
        }
    }

    public func delete(_ keys: [ByteString]) async throws(StoreError) -> [StoreError?] {
        try await run("delete", nil) { bucket, request throws(StoreError) in
            guard keys.count <= Self.maximumBatch else { throw request.error(.refused, "more than 1000 keys") }
            var results: [StoreError?] = []
            for key in keys {
                try request.checkCancelled()
                do throws(StoreError) {
                    try bucket.delete(key, .none, request)
                    results.append(nil)
                } catch {
                    var error = error
                    error.key = key
                    results.append(error)
                }
            }
            return results
        }
    }

    public func removeLeftovers(olderThanMilliseconds ageMilliseconds: Int64) async throws(StoreError) -> Int {
        try await run("remove leftovers", nil) { bucket, request throws(StoreError) in
            try bucket.removeLeftovers(olderThanMilliseconds: ageMilliseconds, request)
        }
    }

    private static func check(_ metadata: Metadata, _ request: Request) throws(StoreError) {
        let bytes = metadata.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
        if bytes > StoreCapabilities().maximumMetadataBytes {
            throw request.error(.refused, "metadata of \(bytes) bytes")
        }
    }

    /// Runs `body` on one of the store's threads, with the bucket open.
    private func run<Answer: Sendable>(
        _ operation: String, _ key: ByteString?,
        _ body: @escaping @Sendable (Bucket, Request) throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer {
        let request = Request(operation, key)
        let result = await withTaskCancellationHandler {
            await pool.run { [path, clock, avoidsAttributes] () -> Result<Answer, StoreError> in
                do throws(StoreError) {
                    try request.checkCancelled()
                    let bucket = try Bucket(path: path, clock: clock, avoidsAttributes: avoidsAttributes, request)
                    return .success(try body(bucket, request))
                } catch {
                    return .failure(error)
                }
            }
        } onCancel: {
            request.cancel()
        }
        return try result.get()
    }
}
