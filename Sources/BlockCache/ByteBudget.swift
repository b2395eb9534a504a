import Primitives

/// Bytes that may be in memory at once: tasks wait in order for their share without holding a thread.
final class ByteBudget: Sendable {
    private struct State {
        var free: Int64
        var waiting: [(bytes: Int64, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let limit: Int64
    private let state: Lock<State>

    init(limit: Int64) {
        self.limit = limit
        state = Lock(State(free: limit))
    }

    /// `bytes` above the limit count as the limit.
    func take(_ bytes: Int64) async {
        let wanted = min(bytes, limit)
        await withCheckedContinuation { continuation in
            let taken = state.withLock { state -> Bool in
                if state.waiting.isEmpty && state.free >= wanted {
                    state.free -= wanted
                    return true
                }
                state.waiting.append((wanted, continuation))
                return false
            }
            if taken { continuation.resume() }
        }
    }

    func give(_ bytes: Int64) {
        let woken = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            state.free += min(bytes, limit)
            var woken: [CheckedContinuation<Void, Never>] = []
            while let first = state.waiting.first, state.free >= first.bytes {
                state.free -= first.bytes
                woken.append(first.continuation)
                state.waiting.removeFirst()
            }
            return woken
        }
        for continuation in woken { continuation.resume() }
    }
}
