import ObjectStore
import Primitives

/// One request that is sent a second time if its answer has not begun after a while. The one whose answer begins first
/// counts; the other is cancelled, and not waited for. For one call; thread-safe.
final class Race<Answer: Sendable>: Sendable {
    enum Runner: Sendable { case first, second }

    /// Sends the request. One that gives its answer away before it returns asks `lead` first.
    typealias Request = @Sendable (Race, Runner) async throws(StoreError) -> Answer

    struct Lead: Sendable {
        var runner: Runner
        /// When its answer began.
        var time: Timestamp
    }

    private typealias Waiting = CheckedContinuation<Result<Answer, StoreError>, Never>

    private struct State {
        var continuation: Waiting?
        var running: [Runner: Task<Void, Never>] = [:]
        var timer: Task<Void, Never>?
        var lead: Lead?

        /// Whether `runner` is the one that counts: the first that asks.
        mutating func grant(_ runner: Runner, at time: Timestamp) -> Bool {
            if lead == nil { lead = Lead(runner: runner, time: time) }
            return lead?.runner == runner
        }

        /// What is to be cancelled when `runner` counts; nil: all.
        func tasks(but runner: Runner?) -> [Task<Void, Never>] {
            running.filter { $0.key != runner }.map(\.value) + (timer.map { [$0] } ?? [])
        }
    }

    private let call: LayerCall
    private let time: any TimeSource
    private let delayMilliseconds: Int64?
    private let maySendAgain: Hook<Void, Bool>
    private let request: Request
    private let state = Lock(State())

    /// - Parameters:
    ///   - delayMilliseconds: how long to wait for the answer before the request is sent again; nil: for ever.
    ///   - maySendAgain: asked when that time is over, at most once. Must not call this race.
    init(
        _ call: LayerCall, time: any TimeSource, delayMilliseconds: Int64?, maySendAgain: Hook<Void, Bool>,
        _ request: @escaping Request
    ) {
        self.call = call
        self.time = time
        self.delayMilliseconds = delayMilliseconds
        self.maySendAgain = maySendAgain
        self.request = request
    }

    /// The one that counts; nil before an answer has begun.
    var lead: Lead? { state.withLock { $0.lead } }

    /// The answer, or the error, of the one that counts. An error of the other kind than `isTransient` is an answer;
    /// after others there is still the other request to wait for. Cancellation of the task cancels both.
    func run() async throws(StoreError) -> Answer {
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if !begin(continuation) {
                    continuation.resume(
                        returning: .failure(StoreError(.cancelled, call.operation.rawValue, key: call.key)))
                }
            }
        } onCancel: {
            for task in state.withLock({ $0.tasks(but: nil) }) { task.cancel() }
        }
        return try result.get()
    }

    /// Whether the answer of `runner`, which has begun, is the one that counts. The other request is cancelled then.
    func lead(_ runner: Runner) -> Bool {
        let now = time.monotonic()
        let (leads, others) = state.withLock { state -> (Bool, [Task<Void, Never>]) in
            let others = state.lead == nil ? state.tasks(but: runner) : []
            return (state.grant(runner, at: now), others)
        }
        for task in others { task.cancel() }
        return leads
    }

    /// False if the task was cancelled before.
    private func begin(_ continuation: Waiting) -> Bool {
        state.withLock { state in
            // Cancelled after this, the handler finds the request.
            if Task.isCancelled { return false }
            state.continuation = continuation
            send(.first, &state)
            guard let delayMilliseconds else { return true }
            state.timer = Task {
                await time.sleep(milliseconds: delayMilliseconds)
                sendAgain()
            }
            return true
        }
    }

    private func sendAgain() {
        state.withLock { state in
            if state.lead == nil, !Task.isCancelled, maySendAgain.call(()) { send(.second, &state) }
        }
    }

    private func send(_ runner: Runner, _ state: inout State) {
        state.running[runner] = Task {
            do throws(StoreError) {
                end(runner, .success(try await request(self, runner)))
            } catch {
                end(runner, .failure(error))
            }
        }
    }

    private func end(_ runner: Runner, _ result: Result<Answer, StoreError>) {
        let now = time.monotonic()
        let (continuation, others) = state.withLock { state -> (Waiting?, [Task<Void, Never>]) in
            state.running[runner] = nil
            let counts = state.running.isEmpty || Self.isAnswer(result) || state.lead?.runner == runner
            guard counts, state.grant(runner, at: now) else { return (nil, []) }
            defer { state.continuation = nil }
            return (state.continuation, state.tasks(but: runner))
        }
        for task in others { task.cancel() }
        continuation?.resume(returning: result)
    }

    private static func isAnswer(_ result: Result<Answer, StoreError>) -> Bool {
        if case .failure(let error) = result { !error.isTransient } else { true }
    }
}
