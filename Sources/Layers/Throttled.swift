import ObjectStore
import Primitives

/// A store that lets at most so many calls through at a time. The others wait in order; cancelled ones leave at once.
public final class Throttled: Interceptor {
    public let store: any ObjectStore
    private let slots: Slots

    public init(_ store: any ObjectStore, concurrentCalls: Int) {
        self.store = store
        slots = Slots(concurrentCalls)
    }

    public func intercept<Answer: Sendable>(
        _ call: LayerCall, _ perform: @Sendable () async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer {
        guard await slots.enter() else { throw StoreError(.cancelled, call.operation.rawValue, key: call.key) }
        defer { slots.leave() }
        return try await perform()
    }
}

/// A counting semaphore whose waiting tasks can be cancelled.
final class Slots: Sendable {
    private struct State {
        var free: Int
        var nextTicket: UInt64 = 0
        var waiting: [(ticket: UInt64, continuation: CheckedContinuation<Bool, Never>)] = []
    }

    private let state: Lock<State>

    init(_ count: Int) { state = Lock(State(free: max(1, count))) }

    /// False if the task was cancelled; then there is nothing to `leave`.
    func enter() async -> Bool {
        let ticket = state.withLock { state -> UInt64 in
            state.nextTicket += 1
            return state.nextTicket
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let entered = state.withLock { state -> Bool? in
                    // Cancelled after this, the handler finds the ticket.
                    if Task.isCancelled { return false }
                    if state.free > 0 {
                        state.free -= 1
                        return true
                    }
                    state.waiting.append((ticket, continuation))
                    return nil
                }
                if let entered { continuation.resume(returning: entered) }
            }
        } onCancel: {
            let cancelled = state.withLock { state in
                state.waiting.firstIndex { $0.ticket == ticket }.map { state.waiting.remove(at: $0).continuation }
            }
            cancelled?.resume(returning: false)
        }
    }

    func leave() {
        let next = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            if state.waiting.isEmpty {
                state.free += 1
                return nil
            }
            return state.waiting.removeFirst().continuation
        }
        next?.resume(returning: true)
    }
}
