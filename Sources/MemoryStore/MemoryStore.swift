import ObjectStore
import Primitives

/// A bucket in memory: the double of a real store for tests. Thread-safe; each call is atomic.
///
/// Like S3, a version's tag depends on the content alone (and on the number of segments of the upload), so that writing
/// the same bytes again, or rewriting only the metadata, gives the same tag; times are whole seconds.
/// With `writesIfAbsent` or `writesIfMatch` false it silently ignores those conditions on writes, as some servers do.
public final class MemoryStore: ObjectStore {
    /// One object as it is kept.
    public struct Object: Sendable, Equatable {
        public var bytes: [UInt8]
        public var info: ObjectInfo
    }

    public let name: String
    private let features: StoreCapabilities
    private let time: any TimeSource
    private let bucket = Lock(SortedObjects())
    private let startedPartBytes: Int64?
    /// The writes that were begun in parts, in order.
    public let startedWrites = Lock([MemoryStartedWrite]())

    /// - Parameter startedPartBytes: the length of parts that are sent ahead; nil: `start` gives nil.
    public init(
        name: String = "memory://bucket", capabilities: StoreCapabilities = StoreCapabilities(),
        time: any TimeSource = SystemTime(), startedPartBytes: Int64? = nil
    ) {
        self.startedPartBytes = startedPartBytes
        self.name = name
        features = capabilities
        self.time = time
    }

    public func capabilities() async throws(StoreError) -> StoreCapabilities { features }

    public func list(
        prefix: ByteString, delimited: Bool, from: ListPosition?, limit: Int
    ) async throws(StoreError) -> ListPage {
        try checkCancelled("list", prefix)
        guard (1...1000).contains(limit) else { throw StoreError(.refused, "list", detail: "limit \(limit)") }
        let position = try Self.key(from)
        return bucket.withLock { $0.page(prefix: prefix, delimited: delimited, after: position, limit: limit) }
    }

    /// The key behind which a page begins.
    private static func key(_ from: ListPosition?) throws(StoreError) -> ByteString? {
        switch from {
        case nil: return nil
        case .after(let key): return key
        case .page(let text):
            guard let key = PageEnd.decode(text) else {
                throw StoreError(.refused, "list", detail: "not a position of this store")
            }
            return key
        }
    }

    public func head(_ key: ByteString) async throws(StoreError) -> ObjectInfo {
        try checkCancelled("head", key)
        guard let object = object(key) else { throw StoreError(.notFound, "head", key: key) }
        return object.info
    }

    public func read(
        _ key: ByteString, range: ByteRange?, ifMatch: ETag?
    ) async throws(StoreError) -> ObjectBody {
        try checkCancelled("read", key)
        guard let object = object(key) else { throw StoreError(.notFound, "read", key: key) }
        if let ifMatch, ifMatch != object.info.etag { throw StoreError(.conditionFailed, "read", key: key) }
        guard let range else { return ObjectBody(info: object.info, bytes: object.bytes) }
        let size = Int64(object.bytes.count)
        let clipped = range.clamped(to: 0..<max(size, 0))
        return ObjectBody(
            info: object.info, bytes: Array(object.bytes[Int(clipped.lowerBound)..<Int(clipped.upperBound)]))
    }

    public func write(
        _ plan: UploadPlan, to key: ByteString, metadata: Metadata, contentType: String?, condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        try checkCancelled("write", key)
        try check(key, metadata: metadata, sizeBytes: plan.sizeBytes, "write")
        let bytes = try content(of: plan, key)
        try checkCancelled("write", key)
        let enforced = isEnforced(condition) ? condition : .none
        let started = plan.started?.write as? MemoryStartedWrite
        defer { started?.end() }
        let info = describe(
            key, bytes, parts: plan.segments.count, started?.metadata ?? metadata, started?.contentType ?? contentType)
        return try bucket.withLock { bucket throws(StoreError) -> ObjectInfo in
            try bucket.check(enforced, on: key, "write")
            bucket.put(Object(bytes: bytes, info: info))
            return info
        }
    }

    public func start(
        _ key: ByteString, metadata: Metadata, contentType: String?
    ) async throws(StoreError) -> (any StartedWrite)? {
        try checkCancelled("write", key)
        try check(key, metadata: metadata, sizeBytes: 0, "write")
        guard let startedPartBytes else { return nil }
        let write = MemoryStartedWrite(key, partBytes: startedPartBytes, metadata, contentType)
        startedWrites.withLock { $0.append(write) }
        return write
    }

    public func copy(
        _ source: ByteString, etag: ETag?, to destination: ByteString, metadata: Metadata?, contentType: String?,
        condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        try checkCancelled("copy", source)
        try check(destination, metadata: metadata ?? [:], sizeBytes: 0, "copy")
        guard source != destination || metadata != nil else {
            throw StoreError(.refused, "copy", key: source, detail: "a copy to itself has to change the metadata")
        }
        let now = wholeSecond()
        return try bucket.withLock { bucket throws(StoreError) -> ObjectInfo in
            guard var object = bucket[source] else { throw StoreError(.notFound, "copy", key: source) }
            if let etag, etag != object.info.etag { throw StoreError(.conditionFailed, "copy", key: source) }
            try bucket.check(condition, on: destination, "copy")
            object.info.key = destination
            object.info.lastModified = now
            if let metadata { object.info.metadata = metadata }
            if let contentType { object.info.contentType = contentType }
            bucket.put(object)
            return object.info
        }
    }

    public func delete(_ key: ByteString, condition: Condition) async throws(StoreError) {
        try checkCancelled("delete", key)
        try bucket.withLock { bucket throws(StoreError) in
            if case .matches = condition, bucket[key] != nil { try bucket.check(condition, on: key, "delete") }
            bucket.remove(key)
        }
    }

    public func delete(_ keys: [ByteString]) async throws(StoreError) -> [StoreError?] {
        try checkCancelled("delete", nil)
        guard keys.count <= 1000 else { throw StoreError(.refused, "delete", detail: "more than 1000 keys") }
        bucket.withLock { bucket in
            for key in keys { bucket.remove(key) }
        }
        return keys.map { _ in nil }
    }

    public func removeLeftovers(olderThanMilliseconds ageMilliseconds: Int64) async throws(StoreError) -> Int { 0 }

    // MARK: What somebody else does to the bucket

    /// All objects in the order of their keys.
    public func snapshot() -> [Object] { bucket.withLock { $0.all } }

    /// The object under `key` as it is now.
    public func object(_ key: ByteString) -> Object? { bucket.withLock { $0[key] } }

    /// Puts an object as another user of the bucket would: without conditions, at once.
    @discardableResult
    public func put(
        _ key: ByteString, _ bytes: [UInt8], metadata: Metadata = [:], contentType: String? = nil
    ) -> ObjectInfo {
        let info = describe(key, bytes, parts: 1, metadata, contentType)
        bucket.withLock { $0.put(Object(bytes: bytes, info: info)) }
        return info
    }

    /// Removes an object as another user of the bucket would.
    public func remove(_ key: ByteString) { bucket.withLock { $0.remove(key) } }

    // MARK: Parts

    private func isEnforced(_ condition: Condition) -> Bool {
        switch condition {
        case .none: true
        case .absent: features.writesIfAbsent
        case .matches: features.writesIfMatch
        }
    }

    private func wholeSecond() -> Timestamp { Timestamp(seconds: time.now().seconds) }

    private func describe(
        _ key: ByteString, _ bytes: [UInt8], parts: Int, _ metadata: Metadata, _ contentType: String?
    ) -> ObjectInfo {
        ObjectInfo(
            key: key, sizeBytes: Int64(bytes.count), etag: ContentTag.make(bytes, parts: parts),
            lastModified: wholeSecond(), metadata: metadata, contentType: contentType)
    }

    private func checkCancelled(_ operation: String, _ key: ByteString?) throws(StoreError) {
        if Task.isCancelled { throw StoreError(.cancelled, operation, key: key) }
    }

    private func check(
        _ key: ByteString, metadata: Metadata, sizeBytes: Int64, _ operation: String
    ) throws(StoreError) {
        guard (1...features.maximumKeyBytes).contains(key.count) else {
            throw StoreError(.refused, operation, key: key, detail: "a key of \(key.count) bytes")
        }
        guard sizeBytes <= features.maximumObjectBytes else {
            throw StoreError(.refused, operation, key: key, detail: "an object of \(sizeBytes) bytes")
        }
        let metadataBytes = metadata.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
        guard metadataBytes <= features.maximumMetadataBytes else {
            throw StoreError(.refused, operation, key: key, detail: "metadata of \(metadataBytes) bytes")
        }
    }

    private func content(of plan: UploadPlan, _ key: ByteString) throws(StoreError) -> [UInt8] {
        var base: [UInt8] = []
        if let wanted = plan.base {
            guard let object = object(wanted.key), object.info.etag == wanted.etag else {
                throw StoreError(.conditionFailed, "write", key: key, detail: "the base is another version")
            }
            base = object.bytes
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(plan.sizeBytes))
        for segment in plan.segments {
            switch segment {
            case .unchanged(let range):
                guard range.upperBound <= Int64(base.count) else {
                    throw StoreError(.refused, "write", key: key, detail: "the base is shorter than the plan")
                }
                bytes += base[Int(range.lowerBound)..<Int(range.upperBound)]
            case .new(let range):
                if let started = plan.started, let write = started.write as? MemoryStartedWrite {
                    bytes += try write.bytes(in: range, valid: started.parts, from: plan.source)
                } else {
                    bytes += try plan.source.bytes(in: range)
                }
            }
        }
        return bytes
    }
}

extension ByteSource {
    /// The bytes of a range, which is held in memory.
    func bytes(in range: ByteRange) throws(StoreError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(range.length))
        let result = bytes.withUnsafeMutableBytes { buffer -> Result<Void, StoreError> in
            do throws(StoreError) {
                return .success(try read(at: range.lowerBound, into: buffer))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
        return bytes
    }
}
