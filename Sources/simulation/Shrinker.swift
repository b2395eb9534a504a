/// Makes a failing plan smaller for as long as it fails: without halves, quarters and single ones of its steps, and
/// without what makes its world difficult.
struct Shrinker {
    /// Whether a plan fails.
    let fails: (Plan) -> Bool
    /// Trials that it may take.
    var budget: Int

    mutating func shrink(_ plan: Plan) -> Plan {
        var best = plan
        var length = best.steps.count / 2
        while length > 0, budget > 0 {
            var start = 0
            while start < best.steps.count, budget > 0 {
                var trial = best
                trial.steps.removeSubrange(start..<min(start + length, trial.steps.count))
                if holds(trial) { best = trial } else { start += length }
            }
            length /= 2
        }
        return simplify(best)
    }

    private mutating func simplify(_ plan: Plan) -> Plan {
        var best = plan
        let changes: [(inout World.Conditions) -> Void] = [
            { $0.rates = .init() }, { $0.latencyMilliseconds = 0 }, { $0.cacheBytes = 10 << 30 },
            { $0.syncsToBucket = false }, { $0.sendsAhead = false }, { $0.uploadsAtOnce = 1 },
            { $0.refreshMilliseconds = 600_000 },
        ]
        for change in changes {
            var trial = best
            change(&trial.conditions)
            if holds(trial) { best = trial }
        }
        return best
    }

    private mutating func holds(_ plan: Plan) -> Bool {
        budget -= 1
        return fails(plan)
    }
}
