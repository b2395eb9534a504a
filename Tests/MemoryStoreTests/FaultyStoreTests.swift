import MemoryStore
import ObjectStore
import Primitives
import Testing

@Suite("FaultyStore") struct FaultyStoreTests {
    let memory = MemoryStore()

    private func put(_ store: any ObjectStore, _ key: ByteString, _ text: String) async throws(StoreError) {
        _ = try await store.write(
            UploadPlan(bytes: Array(text.utf8)), to: key, metadata: [:], contentType: nil, condition: .none)
    }

    private func kind(_ body: () async throws(StoreError) -> Void) async -> StoreError.Kind? {
        do throws(StoreError) {
            try await body()
            return nil
        } catch {
            return error.kind
        }
    }

    @Test func scriptedFaultsStrikeWhereTheyShould() async throws {
        let store = FaultyStore(memory)
        store.inject(.fail(.throttled, retryAfterMilliseconds: 7), on: .write, key: "b", skip: 1)
        try await put(store, "a", "1")
        try await put(store, "b", "2")
        do throws(StoreError) {
            try await put(store, "b", "3")
            Issue.record("no fault")
        } catch {
            #expect(error.kind == .throttled && error.retryAfterMilliseconds == 7)
        }
        #expect(memory.object("b")?.bytes == Array("2".utf8))
        try await put(store, "b", "4")
        #expect(store.calls == ["a", "b", "b", "b"].map { StoreCall(.write, $0) })
    }

    @Test func lostRepliesWereCarriedOut() async {
        let store = FaultyStore(memory)
        store.inject(.loseReply(.timedOut))
        #expect(await kind { () async throws(StoreError) in try await put(store, "a", "1") } == .timedOut)
        #expect(memory.object("a") != nil)
    }

    @Test func lateRequestsOvertakeNothingAndRunOnce() async throws {
        let store = FaultyStore(memory)
        store.inject(.runLate(calls: 2), on: .write)
        #expect(await kind { () async throws(StoreError) in try await put(store, "a", "late") } == .timedOut)
        try await put(store, "a", "new")
        #expect(memory.object("a")?.bytes == Array("new".utf8))
        _ = try await store.head("a")
        #expect(memory.object("a")?.bytes == Array("late".utf8))
        try await put(store, "a", "newer")
        await store.finishLate()
        #expect(memory.object("a")?.bytes == Array("newer".utf8))
    }

    @Test func bodiesAreAlteredTruncatedOrReported() async throws {
        let store = FaultyStore(memory)
        memory.put("a", [1, 2, 3, 4])
        for fault in [Fault.alterBody, .truncateBody, .corruptBody] { store.inject(fault, on: .read) }
        let altered = try await store.read("a", range: nil, ifMatch: nil).bytes
        #expect(altered.count == 4 && altered != [1, 2, 3, 4])
        #expect(try await store.read("a", range: nil, ifMatch: nil).bytes == [1, 2])
        #expect(
            await kind { () async throws(StoreError) in _ = try await store.read("a", range: nil, ifMatch: nil) }
                == .corrupt)
    }

    @Test func unpluggedFailsAndPausedWaits() async throws {
        let store = FaultyStore(memory)
        store.unplug()
        #expect(await kind { () async throws(StoreError) in try await put(store, "a", "1") } == .unavailable)
        store.plug()
        store.pause()
        let cancelled = Task { await kind { () async throws(StoreError) in try await put(store, "x", "1") } }
        cancelled.cancel()
        #expect(await cancelled.value == .cancelled)
        let waiting = Task { await kind { () async throws(StoreError) in try await put(store, "y", "1") } }
        while !store.calls.contains(StoreCall(.write, "y")) { await Task.yield() }
        #expect(memory.object("y") == nil)
        store.resume()
        #expect(await waiting.value == nil)
        #expect(memory.object("x") == nil && memory.object("y") != nil)
    }

    @Test func stallsEndWithCancellation() async {
        let store = FaultyStore(memory)
        store.inject(.stall(milliseconds: 60_000))
        let stalled = Task { await kind { () async throws(StoreError) in try await put(store, "a", "1") } }
        stalled.cancel()
        #expect(await stalled.value == .cancelled)
        #expect(memory.object("a") == nil)
    }

    @Test func hookStopsBeforeAndAfter() async {
        let store = FaultyStore(memory)
        store.onCall(
            Hook { moment in moment == .before(StoreCall(.write, "a")) ? StoreError(.cancelled, "kill") : nil })
        #expect(await kind { () async throws(StoreError) in try await put(store, "a", "1") } == .cancelled)
        #expect(memory.object("a") == nil)
        store.onCall(Hook { moment in moment == .after(StoreCall(.write, "a")) ? StoreError(.cancelled, "kill") : nil })
        #expect(await kind { () async throws(StoreError) in try await put(store, "a", "1") } == .cancelled)
        #expect(memory.object("a") != nil)
    }

    @Test func seedsRepeatTheirFaults() async {
        var rates = FaultRates()
        rates.unavailable = 0.3
        rates.loseReply = 0.2
        var runs: [[StoreError.Kind?]] = []
        for _ in 0..<2 {
            let store = FaultyStore(MemoryStore(), seed: 42, rates: rates)
            var run: [StoreError.Kind?] = []
            for _ in 0..<50 { run.append(await kind { () async throws(StoreError) in try await put(store, "a", "1") }) }
            runs.append(run)
        }
        #expect(runs[0] == runs[1])
        #expect(Set(runs[0].compactMap { $0 }) == [.unavailable, .timedOut])
    }
}
