import ObjectStore
import Primitives

/// A store that sends a request that only reads a second time when its answer is late, and takes the answer that begins
/// first: hedged requests (Dean and Barroso, "The Tail at Scale", CACM 56(2), 2013).
///
/// Late is what takes longer than the 95th percentile of the newest answers to requests of its kind, at least
/// `floorMilliseconds`. At most about one request in twenty is sent twice, and for a while none after the store has asked
/// for fewer. Writes, copies and deletes are sent once: two of them could both take effect.
///
/// Of both answers either is right: each was asked for during the call, reads into a sink name the version, and the
/// sink gets the bytes of one of them. An error is waited out if the other request may still do better. What counts as
/// time is the store's below, with what it waits for its turn, so this layer belongs right above the requests:
/// below `Retrying`, whose waits would count as slow answers, and above `Metered`, which counts each request.
public final class Hedged: Interceptor {
    /// A shorter wait isn't worth a request.
    public static let floorMilliseconds: Int64 = 10

    private struct State {
        var times: [RequestKind: AnswerTimes] = [:]
        var budget = HedgeBudget()
    }

    public let store: any ObjectStore
    private let meter: StoreMeter
    private let time: any TimeSource
    private let state = Lock(State())

    /// - Parameter meter: counts what was sent twice.
    public init(_ store: any ObjectStore, meter: StoreMeter, time: any TimeSource = SystemTime()) {
        self.store = store
        self.meter = meter
        self.time = time
    }

    /// Sends it once, and heeds an answer that asks for fewer requests.
    public func intercept<Answer: Sendable>(
        _ call: LayerCall, _ perform: @Sendable () async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer {
        do throws(StoreError) {
            return try await perform()
        } catch {
            heed(error)
            throw error
        }
    }

    public func list(
        prefix: ByteString, delimited: Bool, from: ListPosition?, limit: Int
    ) async throws(StoreError) -> ListPage {
        try await hedge(LayerCall(operation: .list, key: prefix), .list) { [store] _, _ throws(StoreError) in
            try await store.list(prefix: prefix, delimited: delimited, from: from, limit: limit)
        }
    }

    public func head(_ key: ByteString) async throws(StoreError) -> ObjectInfo {
        try await hedge(LayerCall(operation: .head, key: key), .head) { [store] _, _ throws(StoreError) in
            try await store.head(key)
        }
    }

    public func read(_ key: ByteString, range: ByteRange?, ifMatch: ETag?) async throws(StoreError) -> ObjectBody {
        let call = LayerCall(operation: .read, key: key)
        return try await hedge(call, .read(bytes: range?.length ?? .max)) { [store] _, _ throws(StoreError) in
            try await store.read(key, range: range, ifMatch: ifMatch)
        }
    }

    public func read(
        _ key: ByteString, range: ByteRange, ifMatch: ETag, into sink: any ByteSink
    ) async throws(StoreError) {
        let call = LayerCall(operation: .read, key: key)
        try await hedge(call, .read(bytes: range.length)) { [store] race, runner throws(StoreError) in
            let sink = RacingSink(sink: sink, race: race, runner: runner)
            try await store.read(key, range: range, ifMatch: ifMatch, into: sink)
        }
    }

    private func hedge<Answer: Sendable>(
        _ call: LayerCall, _ kind: RequestKind, _ request: @escaping Race<Answer>.Request
    ) async throws(StoreError) -> Answer {
        let start = time.monotonic()
        let race = Race<Answer>(
            call, time: time, delayMilliseconds: begin(kind), maySendAgain: Hook { self.takeHedge() }
        ) { race, runner throws(StoreError) in
            try await self.intercept(call) { () async throws(StoreError) in try await request(race, runner) }
        }
        let answer = try await race.run()
        if let lead = race.lead { note(lead.time.nanoseconds - start.nanoseconds, kind) }
        if race.lead?.runner == .second { meter.change { $0.hedgesWon += 1 } }
        return answer
    }

    /// How long to wait for the answer; nil while that isn't known.
    private func begin(_ kind: RequestKind) -> Int64? {
        let tail = state.withLock { state in
            state.budget.noteRequest()
            return state.times[kind]?.tailMilliseconds
        }
        return tail.map { max($0, Self.floorMilliseconds) }
    }

    private func takeHedge() -> Bool {
        let now = time.monotonic()
        guard state.withLock({ $0.budget.take(at: now) }) else { return false }
        meter.change { $0.hedged += 1 }
        return true
    }

    /// What the caller waited, so also for those whose first request was given up: they are the tail.
    private func note(_ nanoseconds: Int64, _ kind: RequestKind) {
        state.withLock { $0.times[kind, default: AnswerTimes()].add(nanoseconds: nanoseconds) }
    }

    private func heed(_ error: StoreError) {
        guard error.kind == .throttled else { return }
        let now = time.monotonic()
        state.withLock { $0.budget.pause(at: now) }
    }
}
