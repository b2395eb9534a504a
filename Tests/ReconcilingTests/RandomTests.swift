import Foundation
import Primitives
import Testing

/// Nothing is lost and nothing is left over, whatever happens in which order. More seeds: PAIL_SEEDS (how many),
/// PAIL_FIRST_SEED; a single one: PAIL_SEED.
@Suite(.serialized) struct RandomTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let operations = 60
    private static let secondsForOne = 60

    private static var seeds: [UInt64] {
        if let one = environment["PAIL_SEED"].flatMap({ UInt64($0) }) { return [one] }
        let first = environment["PAIL_FIRST_SEED"].flatMap { UInt64($0) } ?? 1
        let count = environment["PAIL_SEEDS"].flatMap { UInt64($0) } ?? 40
        return Array(first..<(first + count))
    }

    @Test func theBucketBecomesWhatTheTreeIs() async throws {
        let queue = Lock(Self.seeds.reversed().map { $0 })
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<6 {
                group.addTask {
                    while let seed = queue.withLock({ $0.popLast() }) { await Self.check(seed) }
                }
            }
        }
    }

    /// Runs one seed, bounded in time.
    private static func check(_ seed: UInt64) async {
        let isOver = Lock(false)
        Task.detached {
            await attempt(seed)
            isOver.withLock { $0 = true }
        }
        for _ in 0..<(secondsForOne * 200) {
            if isOver.withLock({ $0 }) { return }
            await SystemTime().sleep(milliseconds: 5)
        }
        Issue.record("seed \(seed) doesn't end")
    }

    private static func attempt(_ seed: UInt64) async {
        do {
            let run = try await RandomRun(seed: seed)
            do {
                try await run.run(operations: operations)
            } catch {
                let report = "seed \(seed): \(error)\n" + run.history.joined(separator: "\n")
                Issue.record("\(report)")
            }
            if environment["PAIL_SEED"] != nil { print(run.history.joined(separator: "\n")) }
            await run.close()
        } catch {
            Issue.record("seed \(seed): \(error)")
        }
    }
}
