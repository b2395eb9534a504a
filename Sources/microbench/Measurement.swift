import CAllocations
import Glibc

/// One hot path: what it costs in time and in allocations, and how many of these it may have.
struct Measurement {
    let name: String
    /// Allocations a call; more is a regression. docs/BENCHMARKS.md says what they are to become.
    let limit: Double
    let nanoseconds: Double
    let allocations: Double

    static let warmUps = 2_000
    static let rounds = 5

    /// The best of some rounds of `count` calls each, by time and by allocations: others use the machine, too.
    init(
        _ name: String, limit: Double, count: Int = 20_000, _ body: () throws -> Void
    ) rethrows {
        self.name = name
        self.limit = limit
        for _ in 0..<min(count, Self.warmUps) { try body() }
        var nanoseconds = Double.infinity
        var allocations = Double.infinity
        for _ in 0..<Self.rounds {
            let begin = Self.now()
            pail_count_allocations()
            for _ in 0..<count { try body() }
            allocations = min(allocations, Double(pail_counted_allocations()) / Double(count))
            nanoseconds = min(nanoseconds, Double(Self.now() - begin) / Double(count))
        }
        self.nanoseconds = nanoseconds
        self.allocations = allocations
    }

    /// A hundredth of a call's allocation is a table that grows now and then.
    var isWithinLimit: Bool { allocations <= limit + 0.01 }

    var line: String {
        let time = Self.column("\(Int(nanoseconds.rounded()))", 8)
        let counted = Self.column("\((allocations * 100).rounded() / 100)", 12)
        return "\(time) ns \(counted) allocations, at most \(limit): \(name)" + (isWithinLimit ? "" : "  TOO MANY")
    }

    private static func column(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
