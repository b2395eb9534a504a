import Cryptography
import ObjectStore
import Primitives

/// Holds keys that are longer than the store can take, for paths that are deeper than its keys can say.
///
/// What fits lies where it belongs. The object of a longer key lies at `.pail/long/HASH/NAME`: the hash (SHA-256) is of
/// the key up to its last name, so that what is in one directory lies together, and a listing of the directory, which
/// names it, can give the keys back. A directory at the edge has some of its entries in each place.
public struct LongKeys: ObjectStore {
    static let place: ByteString = ".pail/long/"
    /// A file name of Linux, and the `/` behind a directory's.
    static let longestNameBytes = 256
    /// The longest key that is held, which only says that there is an end.
    public static let maximumKeyBytes = 65_536

    private let store: any ObjectStore
    private let plainKeyBytes: Int

    /// - Parameter maximumKeyBytes: the longest key that `store` takes; at least 512.
    public init(_ store: any ObjectStore, maximumKeyBytes: Int) {
        self.store = store
        plainKeyBytes = maximumKeyBytes
    }

    public var name: String { store.name }

    public func capabilities() async throws(StoreError) -> StoreCapabilities {
        var capabilities = try await store.capabilities()
        capabilities.maximumKeyBytes = Self.maximumKeyBytes
        return capabilities
    }

    public func head(_ key: ByteString) async throws(StoreError) -> ObjectInfo {
        try await shown(key) { () async throws(StoreError) in try await store.head(place(of: key)) }
    }

    public func read(_ key: ByteString, range: ByteRange?, ifMatch: ETag?) async throws(StoreError) -> ObjectBody {
        do throws(StoreError) {
            var body = try await store.read(place(of: key), range: range, ifMatch: ifMatch)
            body.info.key = key
            return body
        } catch { throw named(error, key) }
    }

    public func read(
        _ key: ByteString, range: ByteRange, ifMatch: ETag, into sink: any ByteSink
    ) async throws(StoreError) {
        do throws(StoreError) {
            try await store.read(place(of: key), range: range, ifMatch: ifMatch, into: sink)
        } catch { throw named(error, key) }
    }

    public func write(
        _ plan: UploadPlan, to key: ByteString, metadata: Metadata, contentType: String?, condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        try requireHoldable(key, "write")
        var placed = plan
        placed.base = plan.base.map { .init(key: place(of: $0.key), etag: $0.etag) }
        let plan = placed
        return try await shown(key) { () async throws(StoreError) in
            try await store.write(
                plan, to: place(of: key), metadata: metadata, contentType: contentType, condition: condition)
        }
    }

    public func start(
        _ key: ByteString, metadata: Metadata, contentType: String?
    ) async throws(StoreError) -> (any StartedWrite)? {
        do throws(StoreError) {
            return try await store.start(place(of: key), metadata: metadata, contentType: contentType)
        } catch { throw named(error, key) }
    }

    public func copy(
        _ source: ByteString, etag: ETag?, to destination: ByteString, metadata: Metadata?, contentType: String?,
        condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        try requireHoldable(destination, "copy")
        return try await shown(destination) { () async throws(StoreError) in
            try await store.copy(
                place(of: source), etag: etag, to: place(of: destination), metadata: metadata,
                contentType: contentType, condition: condition)
        }
    }

    public func delete(_ key: ByteString, condition: Condition) async throws(StoreError) {
        do throws(StoreError) {
            try await store.delete(place(of: key), condition: condition)
        } catch { throw named(error, key) }
    }

    public func delete(_ keys: [ByteString]) async throws(StoreError) -> [StoreError?] {
        let errors = try await store.delete(keys.map { place(of: $0) })
        return zip(errors, keys).map { error, key in error.map { named($0, key) } }
    }

    public func removeLeftovers(olderThanMilliseconds ageMilliseconds: Int64) async throws(StoreError) -> Int {
        try await store.removeLeftovers(olderThanMilliseconds: ageMilliseconds)
    }

    // MARK: Listings

    /// What lies below a directory's prefix beyond the directory itself is found only in plain places: who wants all
    /// of it lists each directory.
    public func list(
        prefix: ByteString, delimited: Bool, from: ListPosition?, limit: Int
    ) async throws(StoreError) -> ListPage {
        guard prefix.hasSuffix("/"), prefix.count + Self.longestNameBytes > plainKeyBytes else {
            return try await store.list(prefix: prefix, delimited: delimited, from: from, limit: limit)
        }
        let position = try Position(from)
        if case .plain(let token) = position, prefix.count <= plainKeyBytes {
            var page = try await store.list(
                prefix: prefix, delimited: delimited, from: token.map { .page($0) }, limit: limit)
            let isEmpty = page.objects.isEmpty && page.prefixes.isEmpty
            if page.next != nil || !isEmpty {
                page.next = (page.next.map { Position.plain($0) } ?? .long(nil)).text
                return page
            }
        }
        return try await listLong(prefix, delimited, position.longToken, limit)
    }

    private func listLong(
        _ prefix: ByteString, _ delimited: Bool, _ token: String?, _ limit: Int
    ) async throws(StoreError) -> ListPage {
        let standIn = Self.standIn(for: prefix)
        // One less, for the directory's own object.
        var page = try await store.list(
            prefix: standIn, delimited: delimited, from: token.map { .page($0) }, limit: max(1, limit - 1))
        page.objects = page.objects.compactMap { info in
            guard info.key.count > standIn.count else { return nil }
            var info = info
            info.key = prefix + info.key.dropFirst(standIn.count)
            return info
        }
        page.prefixes = page.prefixes.map { prefix + $0.dropFirst(standIn.count) }
        if token == nil, prefix.count > plainKeyBytes, page.objects.count + page.prefixes.count < limit {
            do throws(StoreError) {
                page.objects.insert(try await head(prefix), at: 0)
            } catch {
                // Somebody may have made the entries alone.
                guard error.kind == .notFound else { throw error }
            }
        }
        page.next = page.next.map { Position.long($0).text }
        return page
    }

    /// Where a listing of a directory at the edge goes on: in the store's plain keys, or in the long ones.
    private enum Position {
        case plain(String?)
        case long(String?)

        init(_ from: ListPosition?) throws(StoreError) {
            guard let from else {
                self = .plain(nil)
                return
            }
            // Its entries are in two places: those of the second are all behind those of the first.
            guard case .page(let text) = from else {
                throw StoreError(.unsupported, "list", detail: "a directory with long keys begins at its beginning")
            }
            let token = text.count > 1 ? String(text.dropFirst()) : nil
            self = text.hasPrefix("l") ? .long(token) : .plain(token)
        }

        var text: String {
            switch self {
            case .plain(let token): "p" + (token ?? "")
            case .long(let token): "l" + (token ?? "")
            }
        }

        var longToken: String? {
            if case .long(let token) = self { return token }
            return nil
        }
    }

    // MARK: Keys

    /// Where the key's object really lies.
    func place(of key: ByteString) -> ByteString {
        guard key.count > plainKeyBytes else { return key }
        let slash = UInt8(ascii: "/")
        let end = key.bytes.dropLast().lastIndex(of: slash).map { $0 + 1 } ?? 0
        return Self.standIn(for: ByteString(bytes: key.bytes[..<end])) + key.dropFirst(end)
    }

    private func requireHoldable(_ key: ByteString, _ operation: String) throws(StoreError) {
        guard key.count <= Self.maximumKeyBytes else {
            throw StoreError(.refused, operation, key: key, detail: "a key of \(key.count) bytes")
        }
    }

    /// What a directory's long keys begin with instead.
    static func standIn(for directory: ByteString) -> ByteString {
        place + ByteString(Hexadecimal.encode(SHA256.hash(directory.bytes))) + "/"
    }

    private func shown(
        _ key: ByteString, _ body: () async throws(StoreError) -> ObjectInfo
    ) async throws(StoreError) -> ObjectInfo {
        do throws(StoreError) {
            var info = try await body()
            info.key = key
            return info
        } catch { throw named(error, key) }
    }

    private func named(_ error: StoreError, _ key: ByteString) -> StoreError {
        var error = error
        if error.key == place(of: key) { error.key = key }
        return error
    }
}
