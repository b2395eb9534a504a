import Glibc
import MemoryStore
import ObjectStore
import Primitives

/// What outlives a process: the bucket, the disk, time. And what is drawn for one run.
final class World: @unchecked Sendable {
    /// What is drawn once for a run.
    struct Conditions: CustomStringConvertible {
        var rates = FaultRates()
        var latencyMilliseconds: Int64 = 0
        var refreshMilliseconds: Int64 = 60_000
        var uploadDelayMilliseconds: Int64 = 10
        var uploadsAtOnce = 4
        var cacheBytes: Int64 = 10 << 30
        var syncsToBucket = false
        var losesPower = false
        var hasOthers = false
        /// Files that the bucket has before the first mount: the cache has to fetch them.
        var objectsAtStart = 0
        /// Files of some pages are sent in parts while they are open.
        var sendsAhead = false
        /// With one, directories of some names are listed in ranges.
        var pageEntries = 1_000

        var description: String {
            "faults \(rates.total > 0) late \(rates.runLate > 0) latency \(latencyMilliseconds) "
                + "refresh \(refreshMilliseconds) delay \(uploadDelayMilliseconds) uploads \(uploadsAtOnce) "
                + "cache \(cacheBytes) remote sync \(syncsToBucket) power \(losesPower) others \(hasOthers) "
                + "objects \(objectsAtStart) sends ahead \(sendsAhead) page \(pageEntries)"
        }
    }

    /// What is sent ahead at a time.
    static let partBytes: Int64 = 4_096

    let scheduler = Scheduler()
    let disk: Disk
    let bucket: MemoryStore
    let witness: Witness
    let faulty: FaultyStore
    let conditions: Conditions
    let plant: Plant?
    /// Steps and calls, when somebody wants to read them.
    private(set) var lines: [String] = []
    private let isTraced: Bool
    private var storePointsLeft: Int?
    private var isCalm = false
    private(set) var digest = 0

    init(disk: Disk, seed: UInt64, conditions: Conditions, plant: Plant?, isTraced: Bool) {
        self.disk = disk
        self.conditions = conditions
        self.plant = plant
        self.isTraced = isTraced
        bucket = MemoryStore(time: scheduler.time, startedPartBytes: conditions.sendsAhead ? Self.partBytes : nil)
        witness = Witness(bucket)
        faulty = FaultyStore(witness, seed: seed, rates: conditions.rates, time: scheduler.time)
        disk.clear()
        disk.plant = plant
        disk.writesBack = conditions.losesPower
        drawAnew(from: seed)
    }

    /// From here on what is left to chance is drawn from this.
    func drawAnew(from draw: UInt64) {
        scheduler.generator = SeededGenerator(seed: draw)
        disk.generator = SeededGenerator(seed: draw ^ 0xD15C)
    }

    func trace(_ line: @autoclosure () -> String) {
        if isTraced { lines.append("\(scheduler.time.now().nanoseconds / 1_000_000 % 100_000_000) \(line())") }
    }

    /// Takes something that happened into the sum by which two runs are compared.
    func sum(_ value: Int) { digest = (digest &* 0x0000_0100_0000_01B3) ^ value }

    /// No faults while somebody looks at what is there.
    func calm<Result>(_ body: () throws -> Result) rethrows -> Result {
        let was = isCalm
        isCalm = true
        faulty.setRates(FaultRates())
        defer {
            isCalm = was
            if !was { faulty.setRates(conditions.rates) }
        }
        return try body()
    }

    func someLatency() -> Int64 {
        guard conditions.latencyMilliseconds > 0, !isCalm, !disk.isDead else { return 0 }
        return Int64.random(in: 0...conditions.latencyMilliseconds, using: &scheduler.generator)
    }

    // MARK: death

    func dieAfter(diskPoints: Int) { disk.die(after: diskPoints) }
    func dieAfter(storePoints: Int) { storePointsLeft = storePoints }

    func passStorePoint() {
        guard !disk.isDead, let left = storePointsLeft else { return }
        storePointsLeft = left - 1
        if left <= 1 { disk.die() }
    }

    func disarm() {
        storePointsLeft = nil
        disk.die(after: nil)
    }
}

extension FaultRates {
    var total: Double { throttled + unavailable + timedOut + loseReply + runLate + stall + corruptBody }
}
