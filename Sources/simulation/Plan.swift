import MemoryStore
import Primitives

/// What one run does: drawn from a seed, or what is left of that after shrinking.
struct Plan {
    enum Action: String, CaseIterable {
        case writeWhole, writePart, resize, makeDirectory, rename, exchange, remove, removeDirectory, link, symlink
        case changeMode, openHandle, writeHandle, readHandle, syncHandle, closeHandle, syncDirectory
        case wait, die, restart, drain, putByOther, writeShared, readShared, removeShared

        var weight: Int {
            switch self {
            case .writeWhole: 22
            case .writePart: 12
            case .rename, .writeHandle, .wait: 10
            case .makeDirectory, .openHandle, .die: 7
            case .remove, .resize, .syncHandle, .closeHandle, .readHandle, .putByOther, .writeShared: 5
            case .link, .removeDirectory, .syncDirectory, .changeMode: 3
            case .exchange, .drain, .readShared, .removeShared: 2
            case .symlink, .restart: 1
            }
        }

        var needsOthers: Bool {
            self == .putByOther || self == .writeShared || self == .readShared || self == .removeShared
        }
    }

    /// One thing to do; what of it is left to chance is drawn from `draw`, whatever came before.
    struct Step {
        var action: Action
        var draw: UInt64
    }

    var seed: UInt64
    var conditions: World.Conditions
    var steps: [Step]

    init(seed: UInt64) {
        self.seed = seed
        var generator = SeededGenerator(seed: seed)
        conditions = World.Conditions(using: &generator)
        let hasOthers = conditions.hasOthers
        let actions = Action.allCases.filter { hasOthers || !$0.needsOthers }
            .flatMap { Array(repeating: $0, count: $0.weight) }
        steps = (0..<Int.random(in: 10...50, using: &generator)).map { _ in
            Step(action: actions.randomElement(using: &generator) ?? .wait, draw: generator.next())
        }
    }
}

extension World.Conditions {
    init(using generator: inout SeededGenerator) {
        func draw(_ outOf: Int) -> Int { Int.random(in: 0..<outOf, using: &generator) }
        if draw(3) > 0 {
            rates.unavailable = 0.03
            rates.throttled = 0.02
            rates.loseReply = 0.05
            rates.timedOut = 0.03
            rates.runLate = 0.02
            rates.lateMilliseconds = 1_000
            rates.stall = 0.05
            rates.stallMilliseconds = 300
            rates.corruptBody = 0.01
        }
        latencyMilliseconds = [0, 5, 100][draw(3)]
        refreshMilliseconds = [500, 5_000, 600_000][draw(3)]
        uploadDelayMilliseconds = [1, 50, 1_000][draw(3)]
        uploadsAtOnce = [1, 4, 16][draw(3)]
        if draw(4) == 0 { cacheBytes = 512 << 10 }
        syncsToBucket = draw(8) == 0
        losesPower = draw(2) == 0
        hasOthers = draw(3) == 0
        objectsAtStart = draw(3)
        sendsAhead = draw(2) == 0
        if draw(4) == 0 { pageEntries = 1 }
    }
}
