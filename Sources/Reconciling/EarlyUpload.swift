import BlockCache
import ObjectStore
import Primitives
import Telemetry

/// Sends parts of one file while it is still being written, each once it is left alone. Safe from any thread.
final class EarlyUpload: Sendable {
    /// What the object is begun with.
    struct Beginning: Sendable {
        var key: ByteString
        var tag: String
        var metadata: Metadata
        var contentType: String?
    }

    private struct State {
        var started: (any StartedWrite)?
        var sent: [Int: PartWatch.Part] = [:]
        var sendings: [Int: Int] = [:]
        var underWay: Set<Int> = []
        var isStopping = false
        var hasFailed = false
        /// The content's generation at the last look and at the one before, and when it last grew.
        var generation: UInt64 = 0
        var quiet: UInt64 = 0
        /// The content's length then.
        var bytes: Int64 = 0
        var quietBytes: Int64 = 0
        /// Which parts are as they were sent is found by digests.
        var needsDigests = false
        var changed: Timestamp
        /// When a part was last sent, or looked for by who uploads the file.
        var progressed: Timestamp
        var wanted: Timestamp
        /// Parts below this have been sent at least once.
        var next = 0
    }

    /// Between looks at the file; a part that was left alone from one look to the next is sent.
    private static let lookMilliseconds: Int64 = 50
    private static let partsAtOnce = 4
    /// A part that keeps changing is not sent more often.
    private static let mostSendings = 3
    /// If nobody asks for it any more, it is taken back.
    private static let unwantedMilliseconds: Int64 = 600_000

    let beginning: Beginning
    private let file: CachedFile
    private let store: any ObjectStore
    private let time: any TimeSource
    private let log: Log
    private let state: Lock<State>
    private let task = Lock<Task<Void, Never>?>(nil)

    init(_ file: CachedFile, _ beginning: Beginning, _ store: any ObjectStore, _ time: any TimeSource, _ log: Log) {
        self.file = file
        self.beginning = beginning
        self.store = store
        self.time = time
        self.log = log
        let now = time.monotonic()
        state = Lock(State(changed: now, progressed: now, wanted: now))
        task.withLock { $0 = Task { await run() } }
    }

    // MARK: who uploads the file

    var hasFailed: Bool { state.withLock { $0.hasFailed } }

    /// The snapshot that is uploaded has to have digests.
    var needsDigests: Bool { state.withLock { $0.needsDigests } }

    /// Whether the file is still being written, and parts of it go ahead: nobody has it open, or it rested for `rest`
    /// milliseconds, or nothing could be sent for `patience`.
    func isGoingOn(rest: Int64, patience: Int64) -> Bool {
        let now = time.monotonic()
        return state.withLock { state in
            state.wanted = now
            return !state.hasFailed && file.mayBeWritten && now.milliseconds(since: state.changed) < rest
                && now.milliseconds(since: state.progressed) < patience
        }
    }

    /// Returns when nothing is being sent any more: what was, or nil if nothing is of use.
    func stop() async -> UploadPlan.Started? {
        state.withLock { $0.isStopping = true }
        await task.withLock { $0 }?.value
        let (started, sent, hasFailed) = state.withLock { ($0.started, $0.sent, $0.hasFailed) }
        guard let started else { return nil }
        let parts = Set(sent.filter { $0.value.isCurrent }.keys)
        if !hasFailed, !parts.isEmpty { return UploadPlan.Started(write: started, parts: parts) }
        await started.abandon()
        return nil
    }

    /// Takes everything back.
    func abandon() async {
        task.withLock { $0 }?.cancel()
        await stop()?.write.abandon()
    }

    /// Those of the parts that the snapshot, which was taken after they were sent, has as they were sent.
    func parts(_ sent: Set<Int>, of snapshot: Snapshot) -> Set<Int> {
        state.withLock { state in sent.filter { state.sent[$0]?.isPart(of: snapshot) == true } }
    }

    // MARK: the work

    private func run() async {
        do throws(StoreError) {
            let started = try await store.start(
                beginning.key, metadata: beginning.metadata, contentType: beginning.contentType)
            guard let started else { return fail() }
            state.withLock { $0.started = started }
            guard let watch = PartWatch(file, partBytes: started.partBytes, maximumParts: started.maximumParts)
            else { return fail() }
            state.withLock { $0.needsDigests = watch.isUnseen }
            await withDiscardingTaskGroup { group in
                while isWanted() {
                    look()
                    while let part = nextPart(watch) { group.addTask { await self.send(part, started) } }
                    await time.sleep(milliseconds: Self.lookMilliseconds)
                }
            }
            // Perhaps nobody asks for it any more.
            if hasFailed { await started.abandon() }
        } catch {
            log.debug("reconcile", "\(beginning.key) can't be sent ahead: \(error)")
            fail()
        }
    }

    private func fail() { state.withLock { $0.hasFailed = true } }

    private func isWanted() -> Bool {
        if Task.isCancelled || file.isNameless { fail() }
        let now = time.monotonic()
        return state.withLock { state in
            if now.milliseconds(since: state.wanted) > Self.unwantedMilliseconds { state.hasFailed = true }
            return !state.isStopping && !state.hasFailed
        }
    }

    private func look() {
        let (generation, bytes, now) = (file.generation, file.sizeBytes, time.monotonic())
        state.withLock { state in
            (state.quiet, state.quietBytes) = (state.generation, state.bytes)
            state.bytes = bytes
            if generation != state.generation { state.changed = now }
            state.generation = generation
        }
    }

    /// One that is complete and has rested, which wasn't sent as it is now.
    private func nextPart(_ watch: PartWatch) -> PartWatch.Part? {
        let (candidates, quiet, quietBytes) = state.withLock { state -> ([Int], UInt64, Int64) in
            guard state.underWay.count < Self.partsAtOnce, !state.isStopping else { return ([], 0, 0) }
            let stale = state.sent.filter { !$0.value.isCurrent && (state.sendings[$0.key] ?? 0) < Self.mostSendings }
            let candidates = ([state.next] + stale.keys.sorted()).filter { !state.underWay.contains($0) }
            return (candidates, state.quiet, state.quietBytes)
        }
        for number in candidates {
            guard let part = watch.part(number, unchangedSince: quiet, within: quietBytes) else { continue }
            state.withLock { state in
                state.underWay.insert(number)
                state.sendings[number, default: 0] += 1
                if number == state.next { state.next += 1 }
            }
            return part
        }
        return nil
    }

    private func send(_ part: PartWatch.Part, _ started: any StartedWrite) async {
        let result = await outcome(try await started.send(part.number, from: part))
        let now = time.monotonic()
        state.withLock { state in
            state.underWay.remove(part.number)
            state.progressed = now
            switch result {
            case .success: state.sent[part.number] = part
            case .failure(let error):
                // What the store has of it may be older: it is sent with the rest.
                state.sent[part.number] = nil
                if error.kind != .cancelled { state.hasFailed = true }
            }
        }
    }
}
