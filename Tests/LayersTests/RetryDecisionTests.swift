import ObjectStore
import Primitives
import Testing

@testable import Layers

@Suite struct RetryDecisionTests {
    private let policy = RetryPolicy(attempts: 5, baseMilliseconds: 100, ceilingMilliseconds: 1000)

    private func decide(
        _ kind: StoreError.Kind, _ operation: LayerCall.Operation = .read, failures: Int = 1,
        retryAfter: Int64? = nil, seed: UInt64 = 1
    ) -> RetryDecision {
        var generator = SeededGenerator(seed: seed)
        let error = StoreError(kind, "test", retryAfterMilliseconds: retryAfter)
        return RetryDecision(
            after: error, failures: failures, operation: operation, policy: policy, using: &generator)
    }

    private func isRetry(_ decision: RetryDecision) -> Bool { decision != .giveUp }

    @Test func onlyPassingReasonsAreRetried() {
        let kinds: [StoreError.Kind] = [
            .notFound, .noBucket, .conditionFailed, .accessDenied, .unauthenticated, .refused, .unsupported,
            .outOfSpace, .cancelled,
        ]
        for kind in kinds { #expect(!isRetry(decide(kind))) }
        for kind in [StoreError.Kind.throttled, .unavailable, .timedOut, .corrupt] { #expect(isRetry(decide(kind))) }
    }

    @Test func writesAndCopiesAreRetriedOnlyIfNothingHappened() {
        for operation in LayerCall.Operation.allCases {
            #expect(isRetry(decide(.throttled, operation)))
            let isWrite = [.write, .copy, .delete].contains(operation)
            for kind in [StoreError.Kind.unavailable, .timedOut, .corrupt] {
                #expect(isRetry(decide(kind, operation)) == !isWrite)
            }
        }
    }

    @Test func attemptsAreCounted() {
        #expect(isRetry(decide(.unavailable, failures: 4)))
        #expect(!isRetry(decide(.unavailable, failures: 5)))
        #expect(isRetry(decide(.corrupt, failures: 3)))
        #expect(!isRetry(decide(.corrupt, failures: 4)))
    }

    @Test func waitsGrowToTheCeiling() {
        for (failures, limit) in [(1, 100), (2, 200), (3, 400), (4, 800)] as [(Int, Int64)] {
            let waits = (UInt64(0)..<200).compactMap { seed -> Int64? in
                guard case .retry(let wait) = decide(.timedOut, failures: failures, seed: seed) else { return nil }
                return wait
            }
            #expect(waits.count == 200)
            #expect(waits.allSatisfy { (0...limit).contains($0) })
            #expect(waits.contains { $0 > limit / 2 } && waits.contains { $0 < limit / 2 })
        }
    }

    @Test func theStoreMayAskForMoreButNotForEver() {
        #expect(decide(.throttled, retryAfter: 700) == .retry(afterMilliseconds: 700))
        #expect(decide(.throttled, retryAfter: 60_000) == .retry(afterMilliseconds: 3000))
    }
}
