/// Wakes tasks that wait for something to change. A wait that began before `fire` is woken by it.
public final class Signal: Sendable {
    private let waiting = Lock([CheckedContinuation<Void, Never>]())

    public init() {}

    /// Waits for the next `fire`, unless `unless` says, under the signal's lock, that there is nothing to wait for.
    /// Check the condition in `unless` and change it before `fire`, and no wake-up is missed.
    public func wait(unless: @Sendable () -> Bool = { false }) async {
        await withCheckedContinuation { continuation in
            let skip = waiting.withLock { waiting -> Bool in
                if unless() { return true }
                waiting.append(continuation)
                return false
            }
            if skip { continuation.resume() }
        }
    }

    public func fire() {
        let woken = waiting.withLock { waiting -> [CheckedContinuation<Void, Never>] in
            defer { waiting.removeAll() }
            return waiting
        }
        for continuation in woken { continuation.resume() }
    }
}
