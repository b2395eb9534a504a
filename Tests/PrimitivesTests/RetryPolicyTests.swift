import Primitives
import Testing

@Suite struct RetryPolicyTests {
    /// Always the largest number, so that waits are at their bound.
    private struct Largest: RandomNumberGenerator {
        mutating func next() -> UInt64 { .max }
    }

    @Test func boundsDoubleUpToTheCeiling() {
        let policy = RetryPolicy(attempts: 6, baseMilliseconds: 100, ceilingMilliseconds: 1000)
        var generator = Largest()
        let bounds = (1...6).map { policy.delayMilliseconds(attempt: $0, using: &generator) }
        #expect(bounds == [100, 200, 400, 800, 1000, 1000])
    }

    @Test(arguments: [-100, -1, 0, 1, 31, 32, 63, 64, 1000, .max])
    func noAttemptLeavesTheBounds(attempt: Int) {
        let policy = RetryPolicy()
        var generator = SeededGenerator(seed: UInt64(bitPattern: Int64(attempt)))
        for _ in 0..<100 {
            let delay = policy.delayMilliseconds(attempt: attempt, using: &generator)
            #expect((0...policy.ceilingMilliseconds).contains(delay))
            if attempt <= 1 { #expect(delay <= policy.baseMilliseconds) }
        }
    }

    @Test func fullJitterUsesTheWholeRange() {
        let policy = RetryPolicy(attempts: 2, baseMilliseconds: 1000, ceilingMilliseconds: 1000)
        var generator = SeededGenerator(seed: 5)
        let delays = (0..<1000).map { _ in policy.delayMilliseconds(attempt: 1, using: &generator) }
        #expect(delays.min()! < 50 && delays.max()! > 950)
        #expect((400...600).contains(delays.reduce(0, +) / 1000))
    }

    @Test func zeroMeansAtOnce() {
        let policy = RetryPolicy(attempts: 3, baseMilliseconds: 0, ceilingMilliseconds: 0)
        var generator = SeededGenerator(seed: 1)
        #expect(policy.delayMilliseconds(attempt: 3, using: &generator) == 0)
    }
}

@Suite struct SeededGeneratorTests {
    @Test func theSequenceIsSplitMix64() {
        // The first numbers of the reference implementation (prng.di.unimi.it/splitmix64.c) for seed 1234567.
        var generator = SeededGenerator(seed: 1_234_567)
        let numbers = (0..<3).map { _ in generator.next() }
        #expect(numbers == [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423])
    }
}
