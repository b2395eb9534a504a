import ObjectStore
import Primitives

/// A directory of a bucket as a bucket: keys lose the prefix on their way up and get it on their way down.
public struct Prefixed: ObjectStore {
    private let store: any ObjectStore
    private let prefix: ByteString

    /// - Parameter prefix: "team/data"; a missing `/` at the end is added.
    public init(_ store: any ObjectStore, prefix: ByteString) {
        self.store = store
        self.prefix = prefix.isEmpty || prefix.hasSuffix("/") ? prefix : prefix + "/"
    }

    public var name: String { "\(store.name)/\(prefix)" }

    public func capabilities() async throws(StoreError) -> StoreCapabilities {
        var capabilities = try await up { () async throws(StoreError) in try await store.capabilities() }
        capabilities.maximumKeyBytes -= prefix.count
        return capabilities
    }

    public func list(
        prefix wanted: ByteString, delimited: Bool, from: ListPosition?, limit: Int
    ) async throws(StoreError) -> ListPage {
        var from = from
        if case .after(let key) = from { from = .after(prefix + key) }
        var page = try await up { [from] () async throws(StoreError) in
            try await store.list(prefix: prefix + wanted, delimited: delimited, from: from, limit: limit)
        }
        // The directory's own marker, `prefix/`, has no name inside.
        page.objects = page.objects.compactMap { $0.key.count > prefix.count ? up($0) : nil }
        page.prefixes = page.prefixes.map { up($0) }
        return page
    }

    public func head(_ key: ByteString) async throws(StoreError) -> ObjectInfo {
        try await up { () async throws(StoreError) in up(try await store.head(try down(key, "head"))) }
    }

    public func read(_ key: ByteString, range: ByteRange?, ifMatch: ETag?) async throws(StoreError) -> ObjectBody {
        var body = try await up { () async throws(StoreError) in
            try await store.read(try down(key, "read"), range: range, ifMatch: ifMatch)
        }
        body.info = up(body.info)
        return body
    }

    public func read(
        _ key: ByteString, range: ByteRange, ifMatch: ETag, into sink: any ByteSink
    ) async throws(StoreError) {
        try await up { () async throws(StoreError) in
            try await store.read(try down(key, "read"), range: range, ifMatch: ifMatch, into: sink)
        }
    }

    public func write(
        _ plan: UploadPlan, to key: ByteString, metadata: Metadata, contentType: String?, condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        try await up { () async throws(StoreError) in
            var plan = plan
            if let base = plan.base { plan.base = .init(key: try down(base.key, "write"), etag: base.etag) }
            let info = try await store.write(
                plan, to: try down(key, "write"), metadata: metadata, contentType: contentType, condition: condition)
            return up(info)
        }
    }

    public func start(
        _ key: ByteString, metadata: Metadata, contentType: String?
    ) async throws(StoreError) -> (any StartedWrite)? {
        try await up { () async throws(StoreError) in
            try await store.start(try down(key, "write"), metadata: metadata, contentType: contentType)
        }
    }

    public func copy(
        _ source: ByteString, etag: ETag?, to destination: ByteString, metadata: Metadata?, contentType: String?,
        condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        try await up { () async throws(StoreError) in
            let info = try await store.copy(
                try down(source, "copy"), etag: etag, to: try down(destination, "copy"), metadata: metadata,
                contentType: contentType, condition: condition)
            return up(info)
        }
    }

    public func delete(_ key: ByteString, condition: Condition) async throws(StoreError) {
        try await up { () async throws(StoreError) in
            try await store.delete(try down(key, "delete"), condition: condition)
        }
    }

    public func delete(_ keys: [ByteString]) async throws(StoreError) -> [StoreError?] {
        let errors = try await up { () async throws(StoreError) in
            var whole: [ByteString] = []
            for key in keys { whole.append(try down(key, "delete")) }
            return try await store.delete(whole)
        }
        return errors.map { $0.map(up) }
    }

    /// Nothing: leftovers are found by bucket, and what lies outside the prefix is not ours to remove. A lifecycle rule
    /// of the bucket does it.
    public func removeLeftovers(olderThanMilliseconds ageMilliseconds: Int64) async throws(StoreError) -> Int {
        prefix.isEmpty ? try await store.removeLeftovers(olderThanMilliseconds: ageMilliseconds) : 0
    }

    // MARK: Keys up and down

    private func down(_ key: ByteString, _ operation: String) throws(StoreError) -> ByteString {
        // The prefix alone would be a key of the bucket, but not one of this one's.
        guard !key.isEmpty else { throw StoreError(.refused, operation, key: key, detail: "an empty key") }
        return prefix + key
    }

    private func up(_ key: ByteString) -> ByteString { key.hasPrefix(prefix) ? key.dropFirst(prefix.count) : key }

    private func up(_ info: ObjectInfo) -> ObjectInfo {
        var info = info
        info.key = up(info.key)
        return info
    }

    private func up(_ error: StoreError) -> StoreError {
        var error = error
        error.key = error.key.map { up($0) }
        return error
    }

    private func up<Answer>(
        _ body: () async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer {
        do throws(StoreError) {
            return try await body()
        } catch {
            throw up(error)
        }
    }
}
