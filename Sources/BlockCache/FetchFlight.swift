import ObjectStore
import Primitives

/// A request under way, and those who wait for it. Thread-safe.
final class FetchFlight: Sendable {
    private struct Waiting {
        var ticket: UInt64
        var upperBound: Int64
        var continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        /// Everything of the range up to here has landed.
        var landed: Int64
        var hasEnded = false
        var failure: FetchError?
        var nextTicket: UInt64 = 0
        var waiting: [Waiting] = []
    }

    let range: ByteRange
    let origin: ObjectSource
    /// Nobody waits for it yet: what is waited for goes first, and it is given up where the disk has no room.
    let isAhead: Bool
    private let state: Lock<State>
    private let task = Lock<Task<Void, Never>?>(nil)

    init(_ range: ByteRange, _ origin: ObjectSource, isAhead: Bool) {
        self.range = range
        self.origin = origin
        self.isAhead = isAhead
        state = Lock(State(landed: range.lowerBound))
    }

    /// Begins the work, which is to call `advance` and `end`.
    func start(_ body: @escaping @Sendable () async -> Void) { task.withLock { $0 = Task { await body() } } }

    func cancel() { task.withLock { $0 }?.cancel() }

    /// What came up to `offset` has landed.
    func advance(to offset: Int64) { wake { $0.landed = max($0.landed, offset) } }

    func end(_ failure: FetchError?) {
        wake { state in
            state.hasEnded = true
            state.failure = failure
        }
    }

    var hasEnded: Bool { state.withLock { $0.hasEnded } }

    /// Why it failed; nil while it is under way.
    var failure: FetchError? { state.withLock { $0.failure } }

    /// Returns when all of it up to `offset` has landed, when it has ended, or when the task is cancelled.
    func wait(until offset: Int64) async {
        let ticket = state.withLock { state -> UInt64 in
            state.nextTicket += 1
            return state.nextTicket
        }
        let upperBound = min(offset, range.upperBound)
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDone = state.withLock { state -> Bool in
                    // Cancelled after this, the handler finds the ticket.
                    if Task.isCancelled || state.hasEnded || state.landed >= upperBound { return true }
                    state.waiting.append(Waiting(ticket: ticket, upperBound: upperBound, continuation: continuation))
                    return false
                }
                if isDone { continuation.resume() }
            }
        } onCancel: {
            let cancelled = state.withLock { state in
                state.waiting.firstIndex { $0.ticket == ticket }.map { state.waiting.remove(at: $0).continuation }
            }
            cancelled?.resume()
        }
    }

    /// Wakes those who have what they wait for after the change.
    private func wake(_ change: (inout State) -> Void) {
        let woken = state.withLock { state -> [Waiting] in
            change(&state)
            if state.waiting.isEmpty { return [] }
            let isReady = { (waiting: Waiting) in state.hasEnded || waiting.upperBound <= state.landed }
            let woken = state.waiting.filter(isReady)
            if !woken.isEmpty { state.waiting.removeAll(where: isReady) }
            return woken
        }
        for waiting in woken { waiting.continuation.resume() }
    }
}
