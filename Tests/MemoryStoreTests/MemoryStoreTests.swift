import MemoryStore
import ObjectStore
import Primitives
import StoreConformance
import Testing

@Suite("MemoryStore") struct MemoryStoreTests {
    @Test(arguments: ConformanceSuite.cases) func conforms(_ rule: ConformanceCase) async throws {
        try await ConformanceSuite(store: MemoryStore()).run(rule)
    }

    @Test(arguments: ConformanceSuite.cases) func conformsBehindAFaultyStoreThatIsHealthy(
        _ rule: ConformanceCase
    ) async throws {
        try await ConformanceSuite(store: FaultyStore(MemoryStore())).run(rule)
    }

    @Test func ignoresConditionsWhereItCannotKeepThem() async throws {
        var weak = StoreCapabilities()
        weak.writesIfAbsent = false
        weak.writesIfMatch = false
        let store = MemoryStore(capabilities: weak)
        store.put("a", [1])
        for condition in [Condition.absent, .matches(ETag("\"other\""))] {
            _ = try await store.write(
                UploadPlan(bytes: [2]), to: "a", metadata: [:], contentType: nil, condition: condition)
        }
        #expect(store.object("a")?.bytes == [2])
    }

    @Test func conformanceFindsABrokenStore() async {
        var lying = StoreCapabilities()
        lying.writesIfAbsent = false
        let broken = LyingStore(inner: MemoryStore(capabilities: lying))
        var failures = 0
        for rule in ConformanceSuite.cases {
            do { try await ConformanceSuite(store: broken).run(rule) } catch { failures += 1 }
        }
        #expect(failures == 3)
    }
}

/// Says that it enforces what it doesn't.
private struct LyingStore: ObjectStore {
    let inner: MemoryStore
    var name: String { inner.name }

    func capabilities() async throws(StoreError) -> StoreCapabilities { StoreCapabilities() }
    func list(
        prefix: ByteString, delimited: Bool, from: ListPosition?, limit: Int
    ) async throws(StoreError) -> ListPage {
        try await inner.list(prefix: prefix, delimited: delimited, from: from, limit: limit)
    }
    func head(_ key: ByteString) async throws(StoreError) -> ObjectInfo { try await inner.head(key) }
    func read(
        _ key: ByteString, range: ByteRange?, ifMatch: ETag?
    ) async throws(StoreError) -> ObjectBody {
        try await inner.read(key, range: range, ifMatch: ifMatch)
    }
    func write(
        _ plan: UploadPlan, to key: ByteString, metadata: Metadata, contentType: String?, condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        try await inner.write(plan, to: key, metadata: metadata, contentType: contentType, condition: condition)
    }
    func copy(
        _ source: ByteString, etag: ETag?, to destination: ByteString, metadata: Metadata?, contentType: String?,
        condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        try await inner.copy(
            source, etag: etag, to: destination, metadata: metadata, contentType: contentType, condition: condition)
    }
    func delete(_ key: ByteString, condition: Condition) async throws(StoreError) {
        try await inner.delete(key, condition: condition)
    }
    func delete(_ keys: [ByteString]) async throws(StoreError) -> [StoreError?] { try await inner.delete(keys) }
    func removeLeftovers(olderThanMilliseconds ageMilliseconds: Int64) async throws(StoreError) -> Int { 0 }
}
