import Layers
import MemoryStore
import ObjectStore
import Primitives
import StoreConformance
import Testing

/// A store in layers is a store.
@Suite(.timeLimit(.minutes(2)))
struct ContractTests {
    @Test(arguments: ConformanceSuite.cases)
    func prefixed(_ rule: ConformanceCase) async throws {
        try await ConformanceSuite(store: Prefixed(MemoryStore(), prefix: "a/b")).run(rule)
    }

    @Test(arguments: ConformanceSuite.cases)
    func hedged(_ rule: ConformanceCase) async throws {
        let time = ManualTime()
        var rates = FaultRates()
        rates.stall = 0.1
        let slow = FaultyStore(MemoryStore(), seed: 5, rates: rates)
        try await ConformanceSuite(store: Hedged(slow, meter: StoreMeter(), time: time)).run(rule)
    }

    @Test(arguments: ConformanceSuite.cases)
    func allLayersOverAStoreInTrouble(_ rule: ConformanceCase) async throws {
        let time = ManualTime()
        var rates = FaultRates()
        rates.throttled = 0.2
        rates.corruptBody = 0.02
        let faulty = FaultyStore(MemoryStore(), seed: 11, rates: rates, time: time)
        let store = Retrying(
            Metered(Throttled(Prefixed(faulty, prefix: "t"), concurrentCalls: 8), meter: StoreMeter()),
            policy: RetryPolicy(attempts: 40), time: time, seed: 11)
        try await ConformanceSuite(store: store).run(rule)
    }
}
