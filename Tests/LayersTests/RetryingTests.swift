import Layers
import MemoryStore
import ObjectStore
import Primitives
import Testing

@Suite(.timeLimit(.minutes(1)))
struct RetryingTests {
    private let memory = MemoryStore()
    private let time = ManualTime()
    private let faulty: FaultyStore
    private let store: Retrying

    init() {
        faulty = FaultyStore(memory, time: time)
        store = Retrying(faulty, policy: RetryPolicy(attempts: 4), time: time, seed: 7)
    }

    private func calls(_ operation: StoreOperation) -> Int { faulty.calls.filter { $0.operation == operation }.count }

    @Test func passingFailuresPass() async throws {
        memory.put("a", Array("content".utf8))
        for kind in [StoreError.Kind.unavailable, .timedOut, .throttled] {
            faulty.clearCalls()
            faulty.inject(.fail(kind), times: 3)
            #expect(try await store.text("a") == "content")
            #expect(calls(.read) == 4)
            faulty.inject(.fail(kind), times: 3)
            #expect(try await store.head("a").sizeBytes == 7)
            faulty.inject(.fail(kind), times: 3)
            #expect(try await store.list(prefix: "", delimited: false, from: nil, limit: 10).objects.count == 1)
        }
        #expect(time.sleeps.count == 27)
    }

    @Test func theLastFailureGoesUp() async {
        faulty.inject(.fail(.unavailable), times: 4)
        let error = await failure { () async throws(StoreError) in _ = try await store.text("a") }
        #expect(error?.kind == .unavailable)
        #expect(calls(.read) == 4)
        #expect(time.sleeps.count == 3)
    }

    @Test func answersAreNotRetried() async {
        let error = await failure { () async throws(StoreError) in _ = try await store.text("nothing") }
        #expect(error?.kind == .notFound)
        #expect(calls(.read) == 1)
    }

    @Test func bytesThatKeepArrivingAlteredAreGivenUp() async throws {
        let patient = Retrying(faulty, policy: RetryPolicy(attempts: 20), time: time)
        memory.put("a", [1])
        faulty.inject(.corruptBody, times: 3)
        #expect(try await patient.read("a", range: nil, ifMatch: nil).bytes == [1])
        faulty.clearCalls()
        faulty.inject(.corruptBody, times: 20)
        let error = await failure { () async throws(StoreError) in _ = try await patient.text("a") }
        #expect(error?.kind == .corrupt)
        #expect(calls(.read) == 4)
    }

    @Test func aWriteWhoseReplyWasLostGoesUp() async throws {
        for condition in [Condition.absent, .none] {
            memory.remove("a")
            faulty.clearCalls()
            faulty.inject(.loseReply(.timedOut), on: .write)
            let error = await failure { () async throws(StoreError) in try await store.put("a", "1", condition) }
            #expect(error?.kind == .timedOut)
            #expect(calls(.write) == 1)
            #expect(memory.object("a") != nil)
        }
        faulty.inject(.loseReply(.unavailable), on: .copy)
        let error = await failure { () async throws(StoreError) in
            _ = try await store.copy(
                "a", etag: nil, to: "b", metadata: nil, contentType: nil, condition: .absent)
        }
        #expect(error?.kind == .unavailable)
        #expect(calls(.copy) == 1)
    }

    @Test func aThrottledWriteIsTriedAgain() async throws {
        faulty.inject(.fail(.throttled, retryAfterMilliseconds: 5000), times: 2)
        try await store.put("a", "1", .absent)
        #expect(memory.object("a")?.bytes == Array("1".utf8))
        #expect(time.sleeps == [5000, 5000])
    }

    @Test func aDeleteThatMayHaveHappenedIsNotRepeated() async throws {
        let tag = try #require(memory.put("a", [1]).etag)
        faulty.inject(.loseReply(.timedOut), on: .delete)
        await #expect(throws: StoreError.self) { try await store.delete("a", condition: .matches(tag)) }
        #expect(memory.object("a") == nil)
        #expect(calls(.delete) == 1)
    }

    @Test func ofManyDeletesOnlyTheFailedAreRepeated() async throws {
        let keys: [ByteString] = ["a", "b", "c", "d"]
        let inner = PartlyFailing()
        let store = Retrying(inner, policy: RetryPolicy(attempts: 4), time: time)
        let errors = try await store.delete(keys)
        #expect(errors.map { $0?.kind } == [nil, nil, .accessDenied, .unavailable])
        #expect(errors.map { $0?.key } == [nil, nil, "c", "d"])
        #expect(inner.asked == [["a", "b", "c", "d"], ["b", "d"], ["d"], ["d"]])
    }

    @Test func cancellingEndsTheWait() async throws {
        let slow = Retrying(
            faulty, policy: RetryPolicy(baseMilliseconds: 60_000, ceilingMilliseconds: 60_000), time: SystemTime())
        faulty.unplug()
        let task = Task { await failure { () async throws(StoreError) in _ = try await slow.text("a") } }
        #expect(await eventually { !faulty.calls.isEmpty })
        task.cancel()
        let error = await task.value
        #expect(error?.kind == .cancelled)
        #expect(error?.key == "a")
    }
}

/// Deletes `a` at once, `b` the second time, `c` and `d` never.
private final class PartlyFailing: ObjectStore {
    private let requests = Lock([[ByteString]]())
    private let memory = MemoryStore()

    var asked: [[ByteString]] { requests.withLock { $0 } }
    var name: String { "partly" }

    func delete(_ keys: [ByteString]) async throws(StoreError) -> [StoreError?] {
        let round = requests.withLock { requests -> Int in
            requests.append(keys)
            return requests.count
        }
        return keys.map { key in
            switch key {
            case "a": nil
            case "b": round > 1 ? nil : StoreError(.throttled, "delete", key: key)
            case "c": StoreError(.accessDenied, "delete", key: key)
            default: StoreError(.unavailable, "delete", key: key)
            }
        }
    }

    func capabilities() async throws(StoreError) -> StoreCapabilities { try await memory.capabilities() }
    func list(
        prefix: ByteString, delimited: Bool, from: ListPosition?, limit: Int
    ) async throws(StoreError) -> ListPage {
        try await memory.list(prefix: prefix, delimited: delimited, from: from, limit: limit)
    }
    func head(_ key: ByteString) async throws(StoreError) -> ObjectInfo { try await memory.head(key) }
    func read(_ key: ByteString, range: ByteRange?, ifMatch: ETag?) async throws(StoreError) -> ObjectBody {
        try await memory.read(key, range: range, ifMatch: ifMatch)
    }
    func write(
        _ plan: UploadPlan, to key: ByteString, metadata: Metadata, contentType: String?, condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        try await memory.write(plan, to: key, metadata: metadata, contentType: contentType, condition: condition)
    }
    func copy(
        _ source: ByteString, etag: ETag?, to destination: ByteString, metadata: Metadata?, contentType: String?,
        condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        try await memory.copy(
            source, etag: etag, to: destination, metadata: metadata, contentType: contentType, condition: condition)
    }
    func delete(_ key: ByteString, condition: Condition) async throws(StoreError) {
        try await memory.delete(key, condition: condition)
    }
    func removeLeftovers(olderThanMilliseconds ageMilliseconds: Int64) async throws(StoreError) -> Int { 0 }
}
