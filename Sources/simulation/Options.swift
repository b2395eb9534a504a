import Primitives

/// What the command line asks for.
struct Options {
    static let usage = """
        usage: simulation [--seeds N] [--first S] [--minutes M] [--jobs J] [--failures F] [--shrink T] [--plant BUG]
               simulation --seed S [--plant BUG]

        Runs the mount's parts over a simulated bucket, disk and clock, kills them and takes their power, and holds
        them to the promises. The first form runs N seeds from S on, for M minutes at the most, in J processes, until
        F of them failed (1), and tries T times (600) to make a failing one smaller; the second runs one and shows
        what happens in it. --plant puts in a known bug: \
        \(Plant.allCases.map(\.rawValue).joined(separator: ", ")).
        Exit codes: 0 no promise was broken, 1 one was, 2 unknown options.
        """

    var first: UInt64 = 1
    var seeds: UInt64 = 1_000
    var step: UInt64 = 1
    var minutes: Double?
    var jobs = 1
    var plant: Plant?
    /// Failures after which it ends.
    var failures = 1
    /// Trials to make a failing run smaller.
    var shrink = 600
    /// One seed, shown.
    var seed: UInt64?

    /// nil for what can't be understood.
    init?(_ arguments: [String]) {
        var index = 0
        while index < arguments.count {
            guard index + 1 < arguments.count else { return nil }
            let value = arguments[index + 1]
            switch arguments[index] {
            case "--first":
                guard let number = UInt64(value) else { return nil }
                first = number
            case "--seeds":
                guard let number = UInt64(value) else { return nil }
                seeds = number
            case "--step":
                guard let number = UInt64(value), number > 0 else { return nil }
                step = number
            case "--seed":
                guard let number = UInt64(value) else { return nil }
                seed = number
            case "--minutes":
                guard let number = Double(value) else { return nil }
                minutes = number
            case "--jobs":
                guard let number = Int(value), number > 0 else { return nil }
                jobs = number
            case "--failures":
                guard let number = Int(value) else { return nil }
                failures = number
            case "--shrink":
                guard let number = Int(value) else { return nil }
                shrink = number
            case "--plant":
                guard let bug = Plant(rawValue: value) else { return nil }
                plant = bug
            default: return nil
            }
            index += 2
        }
    }
}
