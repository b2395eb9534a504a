import Primitives
import Testing

/// Time that goes on only as a test says, from one sleeper's end to the next.
final class VirtualTime: TimeSource {
    private struct Sleeper {
        var number: Int
        var end: Timestamp
        var continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var now = Timestamp(seconds: 1_000)
        var nextNumber = 0
        var sleepers: [Sleeper] = []

        mutating func wake(until end: Timestamp) -> [Sleeper] {
            now = max(now, end)
            return remove { $0.end <= end }
        }

        mutating func remove(where isOver: (Sleeper) -> Bool) -> [Sleeper] {
            defer { sleepers.removeAll(where: isOver) }
            return sleepers.filter(isOver)
        }
    }

    private let state = Lock(State())

    var sleeping: Int { state.withLock { $0.sleepers.count } }

    func now() -> Timestamp { state.withLock { $0.now } }
    func monotonic() -> Timestamp { now() }

    func sleep(milliseconds: Int64) async {
        let number = state.withLock { state -> Int in
            state.nextNumber += 1
            return state.nextNumber
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isCancelled = state.withLock { state -> Bool in
                    // Cancelled after this, the handler finds the sleeper.
                    if Task.isCancelled { return true }
                    let end = state.now.adding(milliseconds: milliseconds)
                    state.sleepers.append(Sleeper(number: number, end: end, continuation: continuation))
                    return false
                }
                if isCancelled { continuation.resume() }
            }
        } onCancel: {
            wake { state in state.remove { $0.number == number } }
        }
    }

    /// Waits until `count` sleep, and goes on to the first end among them.
    func pass(of count: Int) async throws {
        try #require(await eventually { sleeping == count }, "\(sleeping) sleep, not \(count)")
        wake { state in
            guard let next = state.sleepers.map(\.end).min() else { return [] }
            return state.wake(until: next)
        }
    }

    func advance(milliseconds: Int64) {
        wake { $0.wake(until: $0.now.adding(milliseconds: milliseconds)) }
    }

    private func wake(_ choose: (inout State) -> [Sleeper]) {
        for sleeper in state.withLock(choose) { sleeper.continuation.resume() }
    }
}
