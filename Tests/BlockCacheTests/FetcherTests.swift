import MemoryStore
import ObjectStore
import Primitives
import Testing

@testable import BlockCache

/// Counts reads, makes them slow, and cuts the first bodies short.
private final class SlowStore: ObjectStore {
    let inner = MemoryStore()
    let reads = Lock([ByteRange]())
    let cuts: Lock<Int>
    var name: String { inner.name }

    init(cuts: Int = 0) { self.cuts = Lock(cuts) }

    func capabilities() async throws(StoreError) -> StoreCapabilities { try await inner.capabilities() }
    func list(
        prefix: ByteString, delimited: Bool, from: ListPosition?, limit: Int
    ) async throws(StoreError) -> ListPage {
        try await inner.list(prefix: prefix, delimited: delimited, from: from, limit: limit)
    }
    func head(_ key: ByteString) async throws(StoreError) -> ObjectInfo { try await inner.head(key) }
    func read(_ key: ByteString, range: ByteRange?, ifMatch: ETag?) async throws(StoreError) -> ObjectBody {
        reads.withLock { $0.append(range ?? 0..<0) }
        await SystemTime().sleep(milliseconds: 20)
        var body = try await inner.read(key, range: range, ifMatch: ifMatch)
        let cut = cuts.withLock { cuts -> Bool in
            cuts -= 1
            return cuts >= 0
        }
        if cut { body.bytes.removeLast() }
        return body
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
        throw StoreError(.unsupported, "copy")
    }
    func delete(_ key: ByteString, condition: Condition) async throws(StoreError) {}
    func delete(_ keys: [ByteString]) async throws(StoreError) -> [StoreError?] { [] }
    func removeLeftovers(olderThanMilliseconds: Int64) async throws(StoreError) -> Int { 0 }
}

@Suite(.timeLimit(.minutes(1))) struct FetcherTests {
    private func stored(_ bytes: [UInt8], in store: SlowStore) async throws -> ObjectSource {
        let info = try await store.write(
            UploadPlan(bytes: bytes), to: "k", metadata: [:], contentType: nil, condition: .none)
        return ObjectSource(key: "k", etag: try #require(info.etag), sizeBytes: Int64(bytes.count))
    }

    @Test func identicalFetchesShareTheirRequests() async throws {
        let (fixture, store) = (try CacheFixture(), SlowStore())
        let bytes = pattern(1 << 20)
        let origin = try await stored(bytes, in: store)
        let file = try fixture.cache.open(1, originBytes: origin.sizeBytes)
        let fetcher = Fetcher(cache: fixture.cache, store: store)
        let errors = await withTaskGroup(of: FetchError?.self) { group in
            for index in Int64(0)..<20 {
                group.addTask {
                    do throws(FetchError) {
                        try await fetcher.fetch(file, (index * 1000)..<(1 << 20), origin: origin)
                        return nil
                    } catch {
                        return error
                    }
                }
            }
            return await group.reduce(into: [FetchError]()) { if let error = $1 { $0.append(error) } }
        }
        #expect(errors.isEmpty)
        #expect(try file.readAll(0..<(1 << 20)) == bytes)
        let total = store.reads.withLock { $0.reduce(0) { $0 + $1.length } }
        #expect(total == 1 << 20)
        #expect(file.isWhole && !file.isDirty)
    }

    @Test func aBigRangeIsFetchedInParallelPieces() async throws {
        let (fixture, store) = (try CacheFixture(), SlowStore())
        let bytes = pattern(5_000_000)
        let origin = try await stored(bytes, in: store)
        let file = try fixture.cache.open(1, originBytes: origin.sizeBytes)
        try await Fetcher(cache: fixture.cache, store: store).fetch(file, 0..<5_000_000, origin: origin)
        #expect(try file.readAll(0..<5_000_000) == bytes)
        #expect(store.reads.withLock { $0.count } == 5)
    }

    @Test func aShortBodyIsAskedForAgainAndNeverCached() async throws {
        let (fixture, store) = (try CacheFixture(), SlowStore(cuts: 2))
        let origin = try await stored(pattern(10_000), in: store)
        let file = try fixture.cache.open(1, originBytes: origin.sizeBytes)
        let fetcher = Fetcher(cache: fixture.cache, store: store)
        try await fetcher.fetch(file, 0..<100, origin: origin)
        #expect(try file.readAll(0..<100) == Array(pattern(10_000)[..<100]))
        store.cuts.withLock { $0 = 3 }
        await #expect(throws: FetchError.self) { try await fetcher.fetch(file, 5000..<5001, origin: origin) }
        #expect(file.missing(in: 5000..<5001) == [4096..<8192])
    }

    @Test func anotherVersionIsAnErrorNotContent() async throws {
        let (fixture, store) = (try CacheFixture(), SlowStore())
        let origin = try await stored(pattern(10_000), in: store)
        _ = try await stored(pattern(10_000, seed: 9), in: store)
        let file = try fixture.cache.open(1, originBytes: origin.sizeBytes)
        do {
            try await Fetcher(cache: fixture.cache, store: store).fetch(file, 0..<100, origin: origin)
            Issue.record("fetched another version")
        } catch {
            guard case .store(let cause) = error, cause.kind == .conditionFailed else {
                Issue.record("\(error)")
                return
            }
        }
        #expect(file.missing(in: 0..<100) == [0..<4096])
    }

    @Test func readersAreWokenAsTheBytesCome() async throws {
        let (fixture, store) = (try CacheFixture(), PiecewiseStore())
        let file = try fixture.cache.open(1, originBytes: 4 << 20)
        let origin = ObjectSource(key: "k", etag: ETag("\"e\""), sizeBytes: 4 << 20)
        let fetcher = Fetcher(cache: fixture.cache, store: store)
        let ahead = AheadFetches(fetcher, file)
        ahead.start([0..<(4 << 20)], origin: origin, isWaiting: false)
        store.allow(pieces: 2)
        // The request itself goes on: only these two pieces of it have come.
        try await fetcher.fetch(file, 0..<(128 << 10), origin: origin)
        #expect(file.missing(in: 0..<(4 << 20)) == [(128 << 10)..<(4 << 20)])
        store.allow(pieces: 100)
        try await fetcher.fetch(file, 0..<(4 << 20), origin: origin)
        #expect(file.isWhole && store.requests.withLock { $0 } == [0..<(4 << 20)])
    }

    @Test func whatNobodyWaitsForAnyMoreIsCancelled() async throws {
        let (fixture, store) = (try CacheFixture(), PiecewiseStore())
        let file = try fixture.cache.open(1, originBytes: 64 << 20)
        let origin = ObjectSource(key: "k", etag: ETag("\"e\""), sizeBytes: 64 << 20)
        let fetcher = Fetcher(cache: fixture.cache, store: store)
        let ahead = AheadFetches(fetcher, file)
        let other = AheadFetches(fetcher, file)
        ahead.start([0..<(4 << 20), (8 << 20)..<(12 << 20)], origin: origin, isWaiting: false)
        other.start([0..<(1 << 20)], origin: origin, isWaiting: false)
        await patiently { store.requests.withLock { $0.count } == 2 }
        ahead.cancel()
        await patiently { store.cancelled.withLock { $0 } == [(8 << 20)..<(12 << 20)] }
        store.allow(pieces: 1000)
        try await fetcher.fetch(file, 0..<(4 << 20), origin: origin)
        #expect(store.requests.withLock { $0.count } == 2)
        #expect(!file.missing(in: (8 << 20)..<(9 << 20)).isEmpty)
    }
}

/// Zeros without end, a piece of 64 KiB each time one is allowed.
private final class PiecewiseStore: ObjectStore {
    let requests = Lock([ByteRange]())
    let cancelled = Lock([ByteRange]())
    private let allowed = Lock(0)
    var name: String { "pieces" }

    func allow(pieces: Int) { allowed.withLock { $0 += pieces } }

    func read(
        _ key: ByteString, range: ByteRange, ifMatch: ETag, into sink: any ByteSink
    ) async throws(StoreError) {
        requests.withLock { $0.append(range) }
        let piece = [UInt8](repeating: 0, count: 64 << 10)
        for offset in stride(from: range.lowerBound, to: range.upperBound, by: 64 << 10) {
            while !allowed.withLock({ allowed -> Bool in
                defer { allowed = max(0, allowed - 1) }
                return allowed > 0
            }) {
                if Task.isCancelled {
                    cancelled.withLock { $0.append(range) }
                    throw StoreError(.cancelled, "read")
                }
                await SystemTime().sleep(milliseconds: 1)
            }
            let body = ObjectBody(
                info: ObjectInfo(key: key, sizeBytes: 0, etag: nil, lastModified: .zero), bytes: piece)
            try body.give(to: sink, at: offset)
        }
    }

    func capabilities() async throws(StoreError) -> StoreCapabilities { StoreCapabilities() }
    func list(
        prefix: ByteString, delimited: Bool, from: ListPosition?, limit: Int
    ) async throws(StoreError) -> ListPage {
        ListPage()
    }
    func head(_ key: ByteString) async throws(StoreError) -> ObjectInfo { throw StoreError(.notFound, "head") }
    func read(_ key: ByteString, range: ByteRange?, ifMatch: ETag?) async throws(StoreError) -> ObjectBody {
        throw StoreError(.unsupported, "read")
    }
    func write(
        _ plan: UploadPlan, to key: ByteString, metadata: Metadata, contentType: String?, condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        throw StoreError(.unsupported, "write")
    }
    func copy(
        _ source: ByteString, etag: ETag?, to destination: ByteString, metadata: Metadata?, contentType: String?,
        condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        throw StoreError(.unsupported, "copy")
    }
    func delete(_ key: ByteString, condition: Condition) async throws(StoreError) {}
    func delete(_ keys: [ByteString]) async throws(StoreError) -> [StoreError?] { [] }
    func removeLeftovers(olderThanMilliseconds: Int64) async throws(StoreError) -> Int { 0 }
}

/// Waits for `condition`, and fails if it doesn't come.
private func patiently(_ condition: @Sendable () -> Bool) async {
    for _ in 0..<5000 where !condition() { await SystemTime().sleep(milliseconds: 1) }
    #expect(condition())
}
