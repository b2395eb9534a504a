import Layers
import MemoryStore
import ObjectStore
import Primitives
import Testing

@Suite(.timeLimit(.minutes(1)))
struct MeteredTests {
    private let memory = MemoryStore()
    private let time = ManualTime()
    private let meter = StoreMeter()

    @Test func callsBytesAndFailuresAreCounted() async throws {
        let faulty = FaultyStore(memory, time: time)
        let store = Metered(faulty, meter: meter, time: time)
        let base = try await store.put("a", "0123456789")
        _ = try await store.read("a", range: 2..<5, ifMatch: nil)
        _ = await failure { () async throws(StoreError) in _ = try await store.head("nothing") }
        faulty.inject(.fail(.throttled))
        _ = await failure { () async throws(StoreError) in _ = try await store.head("a") }
        faulty.inject(.stall(milliseconds: 30))
        _ = try await store.head("a")
        let plan = UploadPlan(
            segments: [.new(0..<2), .unchanged(2..<10)], base: .init(key: "a", etag: try #require(base.etag)),
            source: MemorySource([1, 2]))
        _ = try await store.write(plan, to: "a", metadata: [:], contentType: nil, condition: .none)

        let metrics = meter.metrics
        #expect(metrics.calls[.write]?.ended == 2)
        #expect(metrics.calls[.read]?.ended == 1)
        #expect(metrics.calls[.head]?.ended == 3)
        #expect(metrics.calls[.head]?.failed == 1)
        #expect(metrics.calls[.head]?.microseconds == 30_000)
        #expect(metrics.bytesRead == 3)
        #expect(metrics.bytesWritten == 12)
        #expect(metrics.throttled == 1)
        #expect(metrics.lastFailure?.contains("throttled") == true)
        #expect(metrics.lastFailureTime == Timestamp(seconds: 1_000))
        #expect(metrics.total.ended == 6 && metrics.total.failed == 1 && metrics.total.underWay == 0)
    }

    @Test func whatIsUnderWayShows() async throws {
        let faulty = FaultyStore(memory)
        let store = Metered(faulty, meter: meter)
        faulty.pause()
        let task = Task { await failure { () async throws(StoreError) in _ = try await store.head("a") } }
        #expect(await eventually { !faulty.calls.isEmpty })
        #expect(meter.metrics.calls[.head]?.underWay == 1)
        faulty.resume()
        #expect(await task.value?.kind == .notFound)
        #expect(meter.metrics.total.underWay == 0)
    }
}

@Suite(.timeLimit(.minutes(1)))
struct ThrottledTests {
    @Test func atMostSoManyAtATime() async {
        let faulty = FaultyStore(MemoryStore())
        let running = Lock((now: 0, most: 0))
        faulty.onCall(
            Hook { moment in
                running.withLock { running in
                    if case .before = moment { running.now += 1 } else { running.now -= 1 }
                    running.most = max(running.most, running.now)
                }
                return nil
            })
        faulty.inject(.stall(milliseconds: 2), times: 60)
        let store = Throttled(faulty, concurrentCalls: 5)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<60 { group.addTask { _ = try? await store.head("a") } }
        }
        #expect(faulty.calls.count == 60)
        #expect(running.withLock { $0.most } == 5)
    }

    @Test func whoWaitsCanBeCancelled() async {
        let faulty = FaultyStore(MemoryStore())
        faulty.pause()
        let store = Throttled(faulty, concurrentCalls: 1)
        let first = Task { await failure { () async throws(StoreError) in _ = try await store.head("a") } }
        #expect(await eventually { faulty.calls.count == 1 })
        let second = Task { await failure { () async throws(StoreError) in _ = try await store.head("b") } }
        let third = Task { await failure { () async throws(StoreError) in _ = try await store.head("c") } }
        second.cancel()
        #expect(await second.value?.kind == .cancelled)
        faulty.resume()
        #expect(await first.value?.kind == .notFound)
        #expect(await third.value?.kind == .notFound)
        #expect(Set(faulty.calls.map(\.key)) == ["a", "c"])
    }
}
