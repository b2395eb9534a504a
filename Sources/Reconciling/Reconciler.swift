import BlockCache
import ObjectStore
import Primitives
import Telemetry
import Tree

/// Makes the bucket equal to the tree: uploads, moves, attributes, deletions. Work is not logged but derived: each
/// piece is looked at anew until nothing differs, so what a crash interrupted is just looked at again.
/// Safe from any thread.
public final class Reconciler: Sendable {
    public struct Settings: Sendable {
        /// How long a name must have been left alone before its change is sent.
        public var delayMilliseconds: Int64 = 1_000
        /// Pieces of work at one time.
        public var concurrency = 16
        /// How long a store may still be carrying out a write or delete whose answer was lost, or that a crash
        /// interrupted: its outcome is looked at after that.
        public var settleMilliseconds: Int64 = 2_000
        /// Waits after failures; the number of attempts is not limited by it.
        public var retry = RetryPolicy(attempts: .max, baseMilliseconds: 250, ceilingMilliseconds: 20_000)
        /// How long to wait before something that the store refused is tried again.
        public var refusedMilliseconds: Int64 = 30_000
        /// A new file that is still being written is sent ahead, in parts, from this size on.
        public var earlyBytes: Int64 = 64 << 20
        /// What conflict copies are called after.
        public var hostName = "pail"
        public init() {}
    }

    /// Work kept in memory at one time; the tree knows of the rest.
    static let maximumQueued = 20_000
    /// Changing names are sent at the latest after this many delays.
    static let patience: Int64 = 20
    /// How long cancelled work may take to end. It may be left to itself then: it is ready to be killed at any time.
    static let endMilliseconds: Int64 = 5_000

    /// Between looks at whether a directory is empty, of which the deletion of the last object in it says so anyway.
    static let emptyMilliseconds: Int64 = 1_000

    /// Between looks at whether a file is still being written.
    static let busyMilliseconds: Int64 = 200

    struct State {
        var queue = DueQueue()
        /// There is work in the tree that didn't fit into the queue.
        var hasMore = false
        var running = 0
        var tasks: [Work: Task<Void, Never>] = [:]
        var busy: Set<ByteString> = []
        var busyWork: Set<Work> = []
        var again: Set<Work> = []
        var failures: [Work: Failure] = [:]
        /// Until when the store may still be carrying out a request to a key, of those whose answer was lost.
        var undecided: [ByteString: Timestamp] = [:]
        var hurries = 0
        var pausedUntil: Timestamp?
        var isStopping = false
        var generator = SeededGenerator(seed: 1)
        var uploadedBytes: Int64 = 0
    }

    struct Failure {
        var times: Int
        var message: String
        var isTransient: Bool
    }

    let tree: Tree
    let contents: BlockCache
    let objects: any ObjectStore
    let fetcher: Fetcher
    let discovery: Discovery
    let durability: Durability
    let settings: Settings
    let time: any TimeSource
    let log: Log
    let state = Lock(State())
    let early = Lock([NodeID: EarlyUpload]())
    /// Something was done or became due.
    let progress = Signal()
    private let wake = Signal()
    private let protector = Lock<Hook<NodeID, Bool>?>(nil)
    private let looker = Lock<Hook<NodeID, Void>?>(nil)
    private let loop = Lock<Task<Void, Never>?>(nil)
    private let wakeups = Lock(0)
    /// See `settle`.
    let unsettled: Lock<Set<NodeID>>
    /// When what a crash interrupted is looked at.
    let settled: Timestamp

    /// - Parameter unsettled: what `Recovery` found.
    public init(
        tree: Tree, cache: BlockCache, store: any ObjectStore, fetcher: Fetcher, discovery: Discovery,
        settings: Settings, time: any TimeSource, log: Log, seed: UInt64, unsettled: Set<NodeID> = []
    ) {
        self.tree = tree
        contents = cache
        objects = store
        self.fetcher = fetcher
        self.discovery = discovery
        durability = Durability(tree)
        self.settings = settings
        self.time = time
        self.log = log
        self.unsettled = Lock(unsettled)
        settled = time.monotonic().adding(milliseconds: settings.settleMilliseconds)
        state.withLock { $0.generator = SeededGenerator(seed: seed) }
        tree.observe(Hook { [weak self] work in self?.note(work) })
    }

    /// Asks `hook` before a node's object is deleted: while somebody still reads it from there it stays.
    public func protect(_ hook: Hook<NodeID, Bool>) { protector.withLock { $0 = hook } }

    func isProtected(_ node: NodeID) -> Bool { protector.withLock { $0 }?.call(node) ?? false }

    /// Calls `hook` before a node's content is uploaded, to have noted in the tree what it doesn't know yet.
    public func lookBeforeUpload(_ hook: Hook<NodeID, Void>) { looker.withLock { $0 = hook } }

    func look(at node: NodeID) { looker.withLock { $0 }?.call(node) }

    /// Whether an open file has what it still has to fetch from this object.
    func isBeingRead(_ held: HeldObject) throws(BucketError) -> Bool {
        guard isProtected(held.node), let origin = try inTree(tree.node(held.node))?.origin else { return false }
        return origin.key == held.key && origin.etag == held.etag
    }

    /// Begins to work. - Parameter afterCrash: the last run didn't end by `stop`.
    public func start(afterCrash: Bool) {
        loop.withLock { loop in
            guard loop == nil else { return }
            loop = Task {
                noteInterrupted()
                if afterCrash { await time.sleep(milliseconds: settings.settleMilliseconds) }
                load()
                await run()
            }
        }
    }

    /// Ends the work: what is being done now is cancelled, and given a little time to end. What is left is carried on
    /// by the next start.
    public func stop() async {
        state.withLock { $0.isStopping = true }
        wakeUp()
        let task = loop.withLock { $0 }
        await task?.value
        for task in state.withLock({ Array($0.tasks.values) }) { task.cancel() }
        state.withLock { $0.running += 1 }
        Task {
            await abandonEarly()
            state.withLock { $0.running -= 1 }
        }
        let deadline = time.monotonic().adding(milliseconds: Reconciler.endMilliseconds)
        while state.withLock({ $0.running }) > 0, time.monotonic() < deadline { await time.sleep(milliseconds: 5) }
    }

    // MARK: what there is to do

    private func note(_ work: [Work]) {
        let now = time.monotonic()
        var isEarlier = false
        state.withLock { state in
            let delay = state.hurries > 0 ? 0 : settings.delayMilliseconds
            for item in work {
                if state.queue.count >= Reconciler.maximumQueued {
                    state.hasMore = true
                    continue
                }
                let next = state.queue.nextDue
                let due = now.adding(milliseconds: delay)
                state.queue.put(
                    item, due: due, now: now, limit: settings.delayMilliseconds * Reconciler.patience)
                if next.map({ due < $0 }) ?? true { isEarlier = true }
            }
        }
        if isEarlier { wakeUp() }
    }

    /// Fills the queue from the tree.
    private func load() {
        let now = time.monotonic()
        do throws(TreeError) {
            let room = Reconciler.maximumQueued - state.withLock { $0.queue.count }
            let names = try tree.namesWithWork(after: NameID(0), limit: max(room, 1))
            let keys = try tree.leftovers(limit: max(room, 1))
            state.withLock { state in
                state.hasMore = names.count + keys.count >= room
                for work in names.map(Work.name) + keys.map(Work.leftover) {
                    if state.busyWork.contains(work) || state.failures[work] != nil { continue }
                    state.queue.put(work, due: now, now: now, limit: 0)
                }
            }
        } catch let error {
            log.error("reconcile", "can't read what there is to do: \(error)")
        }
    }

    func wakeUp() {
        wakeups.withLock { $0 += 1 }
        wake.fire()
    }

    // MARK: the loop

    private func run() async {
        while true {
            let seen = wakeups.withLock { $0 }
            let now = time.monotonic()
            let (next, isStopping) = takeNext(now)
            if isStopping { return }
            if let next {
                begin(next)
                continue
            }
            let pause = state.withLock { state -> Int64? in
                if state.running >= settings.concurrency { return nil }
                let due = [state.queue.nextDue, state.pausedUntil].compactMap { $0 }.max()
                return state.queue.nextDue == nil ? nil : due.map { max(1, $0.milliseconds(since: now) + 1) }
            }
            await sleep(milliseconds: pause, unless: { self.wakeups.withLock { $0 } != seen })
        }
    }

    private func takeNext(_ now: Timestamp) -> (Work?, Bool) {
        let (work, isStopping, isDry) = state.withLock { state -> (Work?, Bool, Bool) in
            if state.isStopping { return (nil, true, false) }
            if let paused = state.pausedUntil {
                if paused > now { return (nil, false, false) }
                state.pausedUntil = nil
            }
            guard state.running < settings.concurrency else { return (nil, false, false) }
            while let work = state.queue.pop(now) {
                if state.busyWork.contains(work) {
                    state.again.insert(work)
                    continue
                }
                state.busyWork.insert(work)
                state.running += 1
                return (work, false, false)
            }
            return (nil, false, state.hasMore && state.queue.count == 0)
        }
        if isDry {
            load()
            if state.withLock({ $0.queue.count }) > 0 { return takeNext(now) }
        }
        return (work, isStopping)
    }

    /// Waits for a wake-up, or the time; nil waits for the wake-up alone.
    private func sleep(milliseconds: Int64?, unless: @escaping @Sendable () -> Bool) async {
        guard let milliseconds else { return await wake.wait(unless: unless) }
        let alarm = Task {
            await self.time.sleep(milliseconds: milliseconds)
            if !Task.isCancelled { self.wakeUp() }
        }
        await wake.wait(unless: unless)
        alarm.cancel()
    }

    /// The work's task is entered under the lock, so that its end can't come before.
    private func begin(_ work: Work) {
        state.withLock { state in
            state.tasks[work] = Task { await self.work(on: work) }
        }
    }

    private func work(on work: Work) async {
        let result = await catching { () async throws(BucketError) in try await attend(to: work) }
        finish(work, result)
    }

    private func attend(to work: Work) async throws(BucketError) {
        switch work {
        case .name(let name):
            do throws(BucketError) {
                try await reconcile(name)
            } catch let error {
                // What fails because the name was removed meanwhile doesn't matter.
                if try inTree(tree.name(name)) != nil { throw error }
            }
        case .leftover(let key): try await removeLeftover(key)
        }
    }

    private func finish(_ work: Work, _ result: Result<Void, BucketError>) {
        let now = time.monotonic()
        state.withLock { state in
            state.running -= 1
            state.busyWork.remove(work)
            state.tasks[work] = nil
            let isWantedAgain = state.again.remove(work) != nil
            switch result {
            case .success:
                state.failures[work] = nil
                if isWantedAgain { state.queue.put(work, due: now, now: now, limit: 0) }
            case .failure(.undecided(let milliseconds)):
                state.queue.put(work, due: now.adding(milliseconds: milliseconds), now: now, limit: milliseconds)
            case .failure(let error):
                if error.isBusy {
                    // No failure: it has to wait for who writes.
                    let delay = min(settings.delayMilliseconds, Reconciler.busyMilliseconds)
                    return state.queue.put(work, due: now.adding(milliseconds: delay), now: now, limit: delay)
                }
                let times = (state.failures[work]?.times ?? 0) + 1
                state.failures[work] = Failure(
                    times: times, message: error.description, isTransient: error.isTransient)
                let backoff = settings.retry.delayMilliseconds(attempt: times, using: &state.generator) + 50
                let delay = error.isTransient ? backoff : max(backoff, settings.refusedMilliseconds)
                if error.isOutage { state.pausedUntil = now.adding(milliseconds: backoff) }
                state.queue.put(work, due: now.adding(milliseconds: delay), now: now, limit: delay)
            }
        }
        if case .failure(let error) = result, !error.isUndecided, !error.isBusy {
            log.warning("reconcile", "\(describe(work)): \(error); will retry")
        }
        progress.fire()
        wakeUp()
    }

    private func describe(_ work: Work) -> String {
        switch work {
        case .name(let name): (try? tree.path(of: name))?.description ?? name.description
        case .leftover(let key): "removing \(key)"
        }
    }

    /// Puts work back, to be looked at again after a while: from as long as said to twice as long, by chance, or two
    /// that are in each other's way would be so again each time.
    func putOff(_ work: Work, milliseconds: Int64) {
        let now = time.monotonic()
        state.withLock { state in
            let delay = milliseconds + Int64.random(in: 0...milliseconds, using: &state.generator)
            state.queue.put(work, due: now.adding(milliseconds: delay), now: now, limit: delay)
        }
        wakeUp()
    }

    /// Runs `body` if none of the keys is being worked on, and keeps others off them meanwhile.
    /// Returns false, and does nothing, if one is.
    func alone(
        with keys: Set<ByteString>, _ body: () async throws(BucketError) -> Void
    ) async throws(BucketError) -> Bool {
        let isFree = state.withLock { state -> Bool in
            guard state.busy.isDisjoint(with: keys) else { return false }
            state.busy.formUnion(keys)
            return true
        }
        guard isFree else { return false }
        defer { state.withLock { $0.busy.subtract(keys) } }
        try await body()
        return true
    }
}

extension BucketError {
    fileprivate var isUndecided: Bool { if case .undecided = self { true } else { false } }

    /// The store as a whole can't be reached, so other work would fail too.
    fileprivate var isOutage: Bool {
        guard case .store(let error) = self else { return false }
        switch error.kind {
        case .unavailable, .timedOut, .throttled, .unauthenticated: return true
        default: return false
        }
    }
}
