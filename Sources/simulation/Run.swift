import FileSystem
import Glibc
import ObjectStore
import Primitives
import Reconciling
import Tree

/// A promise that was broken, or an answer that POSIX doesn't allow.
struct Broken: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// The process died in the middle of something.
struct Died: Error {}

/// One run of a plan: life after life on one disk and one bucket, beside a reference that says what there must be.
final class Run {
    /// Operations that wait for the bucket at one time.
    private static let maximumParked = 3
    /// How often an operation may ask for something before that counts as going on for ever.
    static let maximumRounds = 200

    let plan: Plan
    let world: World
    private(set) var life: Life?
    var reference = Reference()
    /// The names as they were after each change since they were last synced, the present ones last.
    var history: [[String: Reference.Entry]] = [[:]]
    /// What each file held after each change since it was last synced, the present content last.
    var versions: [Int: [[UInt8]]] = [:]
    var shared = SharedFiles()
    var handles: [Int: HandleID] = [:]
    private var parked: [Procedure] = []
    /// A read that gave something else than what was written.
    var difference: String?
    /// The operation that the process is in.
    var inFlight: Operation?
    private var crash: Crash?
    private var lives: UInt64 = 0
    private(set) var deaths = 0
    var nextSlot = 0
    var nextToken: UInt32 = 0
    let caller = Caller(user: 1_000, group: 1_000)

    init(_ plan: Plan, disk: Disk, plant: Plant?, isTraced: Bool) {
        self.plan = plan
        world = World(disk: disk, seed: plan.seed, conditions: plan.conditions, plant: plant, isTraced: isTraced)
    }

    var fs: FileSystem { life!.fs }

    // MARK: the course

    func run() throws {
        defer { dropEverything() }
        fillBucket()
        try begin(after: nil)
        for step in plan.steps {
            world.drawAnew(from: step.draw)
            var generator = SeededGenerator(seed: step.draw)
            do {
                world.trace("\(step.action)")
                try take(step.action, using: &generator)
                try resumeParked()
                try pump(jobs: Int.random(in: 0...30, using: &generator))
            } catch is Died {
                try revive()
            }
            try look()
            world.sum(reference.entries.count &+ world.disk.points)
        }
        try finish()
    }

    private func fillBucket() {
        var generator = SeededGenerator(seed: plan.seed ^ 0x0B1E)
        for name in ["a", "b"].prefix(plan.conditions.objectsAtStart) {
            let bytes = someBytes(using: &generator)
            world.bucket.put(ByteString(name), bytes)
            world.witness.approve(bytes)
            let file = reference.add(name, bytes, mode: 0o644)
            versions[file] = [bytes]
        }
        history = [reference.entries]
    }

    /// Throws what somebody has seen: a broken promise, or that the process is dead.
    func look() throws {
        if let violation = world.witness.violation { throw Broken(violation) }
        if world.disk.isDead { throw Died() }
        if let difference { throw Broken(difference) }
    }

    private func begin(after crash: Crash?) throws {
        lives += 1
        world.disk.setTimes(world.scheduler.time.now())
        do {
            life = try Life(world, after: crash, seed: plan.seed &* 1_000 &+ lives)
        } catch {
            try look()
            throw error
        }
        try look()
        // What is looked at is fetched into a small cache only while uploads make room in it.
        let isTight = world.conditions.cacheBytes < 1 << 30
        if isTight {
            for versions in expectation.possible(of: versions) { world.witness.tolerate(mixturesOf: versions) }
            life?.start(after: crash)
        }
        if crash != nil { try check() }
        if !isTight { life?.start(after: crash) }
    }

    private func finish() throws {
        world.disarm()
        do {
            while !parked.isEmpty {
                try world.scheduler.run("parked operations") { parked.contains { $0.need?.isOver ?? true } }
                try resumeParked()
            }
            world.faulty.heal()
            run { [faulty = world.faulty] in await faulty.finishLate() }
            for slot in handles.keys.sorted() { try perform(Procedure([.close(slot: slot)])) }
            try drain()
            try compareBucket()
            try compareMount()
            try shared.checkAtEnd(world)
            if plan.seed % 4 == 0 { try compareFreshMount() }
        } catch is Died { throw Broken("a death that nobody planned") }
        try look()
    }

    /// With an empty cache, as on another machine, which doesn't know which names are links to one file.
    private func compareFreshMount() throws {
        try endLife()
        world.disk.clear()
        reference.closeAll()
        try begin(after: nil)
        try compareMount(knowsLinks: false)
    }

    // MARK: death and birth

    func plan(_ crash: Crash) {
        self.crash = crash
    }

    /// Dies now, if nothing has killed it so far.
    func dieNow() throws {
        world.disk.die()
        throw Died()
    }

    private func revive() throws {
        while true {
            deaths += 1
            let crash = crash ?? .kill
            world.trace("dies: \(crash)\(inFlight.map { " in \($0)" } ?? "")")
            world.disarm()
            try endLife()
            world.disk.revive(after: crash)
            expectation.note(crash, inFlight, reference)
            inFlight = nil
            reference.closeAll()
            shared.forget(crash)
            do {
                if Int.random(in: 0..<4, using: &world.scheduler.generator) == 0 {
                    world.dieAfter(diskPoints: Int.random(in: 1...40, using: &world.scheduler.generator))
                }
                return try begin(after: crash)
            } catch is Died { continue }
        }
    }

    /// What may be there after the deaths since the last look.
    var expectation = Expectation()

    func restartInOrder() throws {
        for slot in handles.keys.sorted() { try perform(Procedure([.close(slot: slot)])) }
        try life?.end()
        try look()
        let synced = Result { try life?.tree.makeDurable() }
        try look()
        try synced.get()
        history = [reference.entries]
        try endLife()
        try look()
        try begin(after: nil)
    }

    /// Ends the process's tasks, with nothing left of it.
    private func endLife() throws {
        parked = []
        handles = [:]
        weak let tree = life?.tree
        try life?.end()
        life = nil
        var rounds = 0
        while tree != nil, rounds < 10_000 {
            rounds += 1
            if !world.scheduler.runOne(), !world.scheduler.time.advanceToNext() { break }
        }
        if tree != nil { throw Life.Leaked() }
    }

    private func dropEverything() {
        world.disk.die()
        try? endLife()
        world.disarm()
        var rounds = 0
        while rounds < 100_000, world.scheduler.runOne() || world.scheduler.time.advanceToNext() { rounds += 1 }
    }

    // MARK: operations

    /// Begins a row of operations. With `mayPark`, others may go on while it waits for the bucket.
    func perform(_ procedure: Procedure, mayPark: Bool = false) throws {
        try proceed(procedure)
        while procedure.need != nil {
            if mayPark, parked.count < Self.maximumParked {
                parked.append(procedure)
                return
            }
            try waitFor(procedure)
            try proceed(procedure)
        }
    }

    private func waitFor(_ procedure: Procedure) throws {
        let disk = world.disk
        try world.scheduler.run("waiting for \(procedure.need!.text)") { procedure.need!.isOver || disk.isDead }
        try look()
    }

    private func resumeParked() throws {
        for procedure in parked where procedure.need?.isOver ?? true {
            parked.removeAll { $0 === procedure }
            try proceed(procedure)
            if procedure.need != nil { parked.append(procedure) }
        }
    }

    /// Takes the operations one after the other, until one needs something or all are done.
    private func proceed(_ procedure: Procedure) throws {
        if let error = procedure.takeError() {
            world.trace("  \(procedure.operations.first.map { "\($0)" } ?? ""): \(error)")
            try requireBucketError(error, procedure)
            procedure.giveUp()
        }
        while let operation = procedure.operations.first {
            let verdict = reference.verdict(operation)
            if verdict == .isNoUse {
                procedure.operations.removeFirst()
                continue
            }
            inFlight = operation
            let result = outcome { () throws(Failure) in try carryOut(operation) }
            try look()
            inFlight = nil
            switch result {
            case .success:
                world.trace("  \(operation)")
                try succeeded(operation, verdict)
                procedure.operations.removeFirst()
                procedure.rounds = 0
            case .failure(.need(let need)):
                guard procedure.rounds < Self.maximumRounds else { throw Broken("\(operation) asks for ever") }
                return procedure.begin(need, life!)
            case .failure(.errno(let error)):
                world.trace("  \(operation): \(error)")
                world.sum(Int(error.code))
                guard verdict == .fails else { throw Broken("\(operation): \(error)") }
                procedure.giveUp()
            }
        }
    }

    private func requireBucketError(_ error: Errno, _ procedure: Procedure) throws {
        let expected: [Int32] = [EIO, ETIMEDOUT, EINTR, ESTALE]
        guard expected.contains(error.code) else {
            throw Broken("\(procedure.operations.first.map { "\($0)" } ?? "?"): \(error) from the bucket")
        }
    }

    private func succeeded(_ operation: Operation, _ verdict: Reference.Verdict) throws {
        guard verdict == .succeeds else { throw Broken("\(operation) must fail and didn't") }
        let former = reference.entries
        if let file = reference.apply(operation), let content = reference.contents[file] {
            versions[file, default: []].append(content)
            world.witness.approve(content)
        }
        if reference.entries != former { history.append(reference.entries) }
        switch operation {
        case .sync(let slot): try synced(slot)
        case .syncDirectory: history = [reference.entries]
        case .symlink(_, let target): world.witness.approve(Array(target.utf8))
        default: break
        }
    }

    private func synced(_ slot: Int) throws {
        history = [reference.entries]
        guard let file = reference.slots[slot], let content = reference.contents[file] else { return }
        versions[file] = [content]
        guard plan.conditions.syncsToBucket else { return }
        // Where a directory above it is still moving, it is there under its former name.
        guard reference.files.contains(where: { reference.file(at: $0) == file }) else { return }
        guard world.bucket.snapshot().contains(where: { $0.bytes == content }) else {
            throw Broken("fsync of slot \(slot) returned before the bucket had it")
        }
    }

    // MARK: the background

    /// Runs so many jobs, as the machine finds time for them.
    func pump(jobs: Int) throws {
        for _ in 0..<jobs {
            guard world.scheduler.runOne() else { break }
            try look()
        }
    }

    /// Lets time pass with what becomes due, in its order: the bucket goes on while the process rests.
    func wait(milliseconds: Int64) throws {
        var left = milliseconds
        while left > 0 {
            let step = min(left, max(1, world.scheduler.time.millisecondsToNext ?? left))
            world.scheduler.time.advance(milliseconds: step)
            left -= step
            while world.scheduler.runOne() { try look() }
        }
    }

    /// Runs a task to its end, dead or alive.
    private func run(_ body: @escaping @Sendable () async -> Void) {
        final class Ended: @unchecked Sendable { var isTrue = false }
        let ended = Ended()
        Task {
            await body()
            ended.isTrue = true
        }
        try? world.scheduler.run("a task") { ended.isTrue }
    }

    /// Waits until the bucket has everything.
    func drain() throws {
        final class Ended: @unchecked Sendable {
            var isTrue = false
            var error: BucketError?
        }
        let ended = Ended()
        let reconciler = life!.reconciler
        life!.begin {
            do throws(BucketError) { try await reconciler.drain() } catch { ended.error = error }
            ended.isTrue = true
        }
        let disk = world.disk
        try world.scheduler.run("drain: \((try? reconciler.status()).map { "\($0)" } ?? "")") {
            ended.isTrue || disk.isDead
        }
        try look()
        if let error = ended.error { throw Broken("drain: \(error)") }
    }
}
