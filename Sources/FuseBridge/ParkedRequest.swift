import Glibc
import Primitives

/// A request that waits for the bucket. Whoever takes it out answers it: its task, an interruption or the session's end.
final class ParkedRequest: @unchecked Sendable {
    // Unchecked: a request is a pointer, which one thread at a time takes out of the lock.
    private struct State {
        var request: OpaquePointer?
        var task: Task<Void, Never>?
        var watched = false
    }

    private let state: Lock<State>
    private let process: Int32

    init(_ request: OpaquePointer, process: Int32) {
        state = Lock(State(request: request))
        self.process = process
    }

    /// The task that will answer. If the request has been cancelled meanwhile, so is the task.
    func started(_ task: Task<Void, Never>) {
        let waiting = state.withLock { state -> Bool in
            state.task = task
            return state.request != nil
        }
        if !waiting { task.cancel() }
    }

    func answer(_ result: Result<Answer, Errno>, _ parking: Parking) {
        guard let request = take() else {
            if case .success(let answer) = result { parking.abandon(answer) }
            return
        }
        let reply = Reply(request)
        switch result {
        case .success(let answer): if !reply.send(answer) { parking.abandon(answer) }
        case .failure(let error): reply.fail(error)
        }
    }

    /// Answers at once and cancels the task.
    func cancel(_ error: Errno) {
        guard let request = take() else { return }
        Reply(request).fail(error)
        state.withLock { $0.task }?.cancel()
    }

    /// Gives up if the caller is to. The kernel tells of one signal only, so a caller that handles that one is watched
    /// for a later one that ends it.
    func interrupt() {
        if Interruption.isWanted(by: process) { return cancel(Errno(EINTR)) }
        let first = state.withLock { state -> Bool in
            defer { state.watched = true }
            return !state.watched
        }
        guard first else { return }
        Task.detached {
            while self.state.withLock({ $0.request != nil }) {
                try? await Task.sleep(nanoseconds: Limits.interruptionPollMilliseconds * 1_000_000)
                if Interruption.isWanted(by: self.process) { self.cancel(Errno(EINTR)) }
            }
        }
    }

    private func take() -> OpaquePointer? {
        state.withLock { state in
            defer { state.request = nil }
            return state.request
        }
    }
}
