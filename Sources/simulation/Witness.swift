import Layers
import MemoryStore
import ObjectStore
import Primitives

/// Stands before the bucket and sees to the promises about it: no object is ever half a file, and no version that
/// somebody else wrote is replaced or removed before the mount has shown it. Used by one thread.
final class Witness: Interceptor, @unchecked Sendable {
    struct Version: Hashable {
        var key: ByteString
        var etag: ETag
    }

    let bucket: MemoryStore
    var store: any ObjectStore { bucket }
    /// The first broken promise.
    private(set) var violation: String?
    /// Contents that some file has had as a whole.
    private var whole: Set<Int> = [Witness.fingerprint([])]
    /// Contents that the bucket has had at any time.
    private var uploaded: Set<Int> = []
    /// Contents that were written whole to keys that others write too. A death may leave a mixture of them.
    private var shared: [ByteString: [[UInt8]]] = [:]
    /// What a file may hold after a death before anybody has looked: mixtures of these.
    private var torn: [[[UInt8]]] = []
    private var foreign: Set<Version> = []
    private var shown: Set<Version> = []

    init(_ bucket: MemoryStore) { self.bucket = bucket }

    static func fingerprint(_ bytes: [UInt8]) -> Int {
        var hasher = Hasher()
        bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
        return hasher.finalize()
    }

    /// A file has had this content between two calls.
    func approve(_ bytes: [UInt8]) { whole.insert(Self.fingerprint(bytes)) }
    /// As well, to a name that is not looked at after a death.
    func approve(_ bytes: [UInt8], at key: ByteString) {
        approve(bytes)
        shared[key, default: [[]]].append(bytes)
    }
    /// As well, any mixture of them.
    func tolerate(mixturesOf versions: [[UInt8]]) { torn.append(versions) }
    /// The mount has shown this version of an object to its user.
    func show(_ key: ByteString, _ etag: ETag) { shown.insert(Version(key: key, etag: etag)) }
    func hasHad(_ bytes: [UInt8]) -> Bool { uploaded.contains(Self.fingerprint(bytes)) }

    /// Somebody else writes to the bucket.
    func putByOther(_ key: ByteString, _ bytes: [UInt8]) {
        approve(bytes, at: key)
        if let etag = bucket.put(key, bytes).etag { foreign.insert(Version(key: key, etag: etag)) }
    }

    // MARK: the store

    func intercept<Answer: Sendable>(
        _ call: LayerCall, _ perform: @Sendable () async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer { try await perform() }

    func write(
        _ plan: UploadPlan, to key: ByteString, metadata: Metadata, contentType: String?, condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        let former = bucket.object(key)
        let info = try await bucket.write(
            plan, to: key, metadata: metadata, contentType: contentType, condition: condition)
        inspect(key, former)
        return info
    }

    func copy(
        _ source: ByteString, etag: ETag?, to destination: ByteString, metadata: Metadata?, contentType: String?,
        condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        let former = bucket.object(destination)
        let info = try await bucket.copy(
            source, etag: etag, to: destination, metadata: metadata, contentType: contentType, condition: condition)
        inspect(destination, former)
        return info
    }

    func delete(_ key: ByteString, condition: Condition) async throws(StoreError) {
        let former = bucket.object(key)
        try await bucket.delete(key, condition: condition)
        inspect(key, former)
    }

    /// Looks at a key that was just written or deleted.
    private func inspect(_ key: ByteString, _ former: MemoryStore.Object?) {
        let present = bucket.object(key)
        if let present {
            let print = Self.fingerprint(present.bytes)
            uploaded.insert(print)
            if !whole.contains(print), !isMixture(present.bytes, at: key) {
                note("the bucket shows \(present.bytes.count) bytes at \(key) that no file ever had as a whole")
            }
        }
        guard let former, let etag = former.info.etag, etag != present?.info.etag else { return }
        let version = Version(key: key, etag: etag)
        guard foreign.contains(version), !shown.contains(version) else { return }
        guard !bucket.snapshot().contains(where: { $0.bytes == former.bytes }) else { return }
        note("somebody else's version of \(key) was \(present == nil ? "deleted" : "replaced") unseen")
    }

    private func isMixture(_ bytes: [UInt8], at key: ByteString) -> Bool {
        // The shared name of the key, or the one whose conflict copy it is.
        let name = shared.first { key == $0.key || key.description.hasPrefix($0.key.description + ".conflict-") }
        return (torn + [name?.value ?? []]).contains { Mixture.isPossible(bytes, of: $0) }
    }

    private func note(_ violation: String) { self.violation = self.violation ?? violation }
}

/// The connection of one process to the bucket. It takes time; the process may die before and after each call, and
/// then has no say any more: what it still asks for fails, what is under way may yet be carried out.
final class Lifeline: Interceptor, @unchecked Sendable {
    let store: any ObjectStore
    private let world: World

    init(_ store: any ObjectStore, _ world: World) {
        self.store = store
        self.world = world
    }

    func intercept<Answer: Sendable>(
        _ call: LayerCall, _ perform: @Sendable () async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer {
        try point(call)
        await delay()
        try point(call)
        let result: Result<Answer, StoreError>
        do throws(StoreError) { result = .success(try await perform()) } catch { result = .failure(error) }
        if !world.disk.isDead { world.trace("  \(call.operation) \(call.key ?? ""): \(Self.describe(result))") }
        await delay()
        try point(call)
        return try result.get()
    }

    private func point(_ call: LayerCall) throws(StoreError) {
        world.passStorePoint()
        if world.disk.isDead {
            throw StoreError(.unavailable, call.operation.rawValue, key: call.key, detail: "the process is dead")
        }
    }

    private func delay() async {
        let milliseconds = world.someLatency()
        if milliseconds > 0 { await world.scheduler.time.sleep(milliseconds: milliseconds) }
    }

    private static func describe<Answer>(_ result: Result<Answer, StoreError>) -> String {
        switch result {
        case .failure(let error): "\(error.kind) \(error.detail)"
        case .success(let info as ObjectInfo): "\(info.etag?.value ?? "-") \(info.metadata?["pail"] ?? "")"
        case .success(let page as ListPage): "\(page.objects.map(\.key)) \(page.prefixes)"
        case .success: "done"
        }
    }
}
