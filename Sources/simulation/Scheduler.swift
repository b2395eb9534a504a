import CSimulation
import Primitives

/// The simulated clock. Time stands still but for `advance`, and for the wait until the next timer when nothing else
/// is to be done. Used by one thread.
final class SimulatedTime: TimeSource, @unchecked Sendable {
    private struct Timer {
        var due: Int64
        var number: UInt64
        var continuation: UnsafeContinuation<Void, Never>
    }

    private var nanoseconds: Int64 = 1_700_000_000_000_000_000
    private var timers: [Timer] = []
    private var nextNumber: UInt64 = 0

    func now() -> Timestamp { Timestamp(nanoseconds: nanoseconds) }
    func monotonic() -> Timestamp { Timestamp(nanoseconds: nanoseconds) }

    func sleep(milliseconds: Int64) async {
        nextNumber += 1
        let number = nextNumber
        let due = nanoseconds + max(0, milliseconds) * 1_000_000
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                if Task.isCancelled { return continuation.resume() }
                timers.append(Timer(due: due, number: number, continuation: continuation))
            }
        } onCancel: {
            end { $0.number == number }
        }
    }

    func advance(milliseconds: Int64) {
        nanoseconds += milliseconds * 1_000_000
        end { $0.due <= nanoseconds }
    }

    /// Goes on to the next timer; false if there is none.
    func advanceToNext() -> Bool {
        guard let due = timers.map(\.due).min() else { return false }
        nanoseconds = max(nanoseconds, due)
        end { $0.due <= nanoseconds }
        return true
    }

    /// Until the next timer, rounded up.
    var millisecondsToNext: Int64? {
        timers.map(\.due).min().map { ($0 - nanoseconds + 999_999) / 1_000_000 }
    }

    private func end(_ isOver: (Timer) -> Bool) {
        let over = timers.filter(isOver).sorted { ($0.due, $0.number) < ($1.due, $1.number) }
        timers.removeAll(where: isOver)
        for timer in over { timer.continuation.resume() }
    }
}

/// Runs all jobs of the runtime on this thread, in an order drawn from a seed. There is one at a time.
final class Scheduler {
    struct Stuck: Error, CustomStringConvertible {
        let what: String
        var description: String { "no end: \(what)" }
    }

    /// Jobs and timers after which something is taken to go on for ever.
    private static let patience = 400_000

    let time = SimulatedTime()
    var generator = SeededGenerator(seed: 0)

    /// Runs one of the jobs that are ready; false if none is.
    func runOne() -> Bool {
        let count = pail_job_count()
        guard count > 0 else { return false }
        pail_run_job(count == 1 ? 0 : Int.random(in: 0..<count, using: &generator))
        return true
    }

    /// Runs jobs, and lets time pass when none is ready, until the condition holds.
    func run(_ what: @autoclosure () -> String, until isDone: () -> Bool) throws(Stuck) {
        for _ in 0..<Self.patience {
            if isDone() { return }
            if !runOne(), !time.advanceToNext() { throw Stuck(what: what()) }
        }
        throw Stuck(what: what())
    }

    /// Runs jobs until none is left that doesn't wait for time to pass.
    func settle(limit: Int = .max) {
        var left = limit
        while left > 0, runOne() { left -= 1 }
    }
}
