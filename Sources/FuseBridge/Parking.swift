import CFuse
import FileSystem
import Glibc
import Primitives
import Tree

/// Requests that wait for the bucket, each in a task of its own, so that the threads that take requests go on.
final class Parking: Sendable {
    private struct State {
        var requests: [UInt64: ParkedRequest] = [:]
        /// Tasks still running, with or without a request.
        var tasks = 0
        var closed = false
    }

    private let fileSystem: FileSystem
    private let state = Lock(State())

    init(fileSystem: FileSystem) { self.fileSystem = fileSystem }

    /// To be called on the thread that took the request. Waits while too many are parked.
    func park(_ reply: consuming Reply, _ need: Need, _ operation: @escaping Operation) {
        guard let message = Worker.current?.message else { return reply.fail(Errno(EIO)) }
        while state.withLock({ $0.tasks >= Limits.parkedRequests && !$0.closed }) { usleep(1000) }
        let raw = reply.take()
        let (unique, number) = (message.unique, message.number)
        let parked = ParkedRequest(raw, process: message.process)
        let accepted = state.withLock { state -> Bool in
            if state.closed { return false }
            state.requests[unique] = parked
            state.tasks += 1
            return true
        }
        guard accepted else { return parked.cancel(Errno(ENOTCONN)) }
        // Asked before the task can answer the request: an interruption before it was registered is known to libfuse.
        let interrupted = fuse_req_interrupted(raw) != 0
        parked.started(
            Task.detached {
                let result = await self.settle(need, number, operation)
                parked.answer(result, self)
                self.state.withLock { state in
                    state.requests[unique] = nil
                    state.tasks -= 1
                }
            })
        if interrupted { interrupt(unique) }
    }

    /// A signal came for the caller of a request. It is cancelled if the signal is one to give up for.
    func interrupt(_ unique: UInt64) {
        state.withLock { $0.requests[unique] }?.interrupt()
    }

    /// Gives back what an answer holds that the kernel did not take.
    func abandon(_ answer: Answer) {
        switch answer {
        case .entry(let entry): fileSystem.forget(entry.attributes.node, 1)
        case .opened(let opened, _): giveBack { fs throws(Failure) in try fs.release(opened.handle) }
        case .created(let entry, let opened, _):
            fileSystem.forget(entry.attributes.node, 1)
            giveBack { fs throws(Failure) in try fs.release(opened.handle) }
        case .directory(let opened): giveBack { fs throws(Failure) in try fs.releaseDirectory(opened.handle) }
        default: break
        }
    }

    /// Cancels what is parked, which is answered ENOTCONN, and waits for its tasks. False if some did not end in time.
    func close() -> Bool {
        let requests = state.withLock { state in
            state.closed = true
            return state.requests.values.map { $0 }
        }
        for request in requests { request.cancel(Errno(ENOTCONN)) }
        for _ in 0..<Limits.drainMilliseconds {
            if state.withLock({ $0.tasks == 0 }) { return true }
            usleep(1000)
        }
        return false
    }

    /// Runs `operation` until it needs nothing more. `number`: see `CurrentRequest`.
    private func settle(
        _ first: Need, _ number: UInt64, _ operation: @escaping Operation
    ) async -> Result<Answer, Errno> {
        var need = first
        for _ in 0..<Limits.parkedRounds {
            do throws(Errno) { try await fileSystem.satisfy(need) } catch { return .failure(error) }
            if Task.isCancelled { return .failure(Errno(EINTR)) }
            do throws(Failure) {
                return .success(
                    try CurrentRequest.with(number) { () throws(Failure) in try operation(fileSystem) })
            } catch {
                switch error {
                case .errno(let error): return .failure(error)
                case .need(let next): need = next
                }
            }
        }
        return .failure(Errno(EIO))
    }

    private func giveBack(_ operation: @escaping @Sendable (FileSystem) throws(Failure) -> Void) {
        do throws(Failure) {
            try operation(fileSystem)
        } catch {
            // Nobody is left to tell an error to.
            guard case .need(let need) = error else { return }
            state.withLock { $0.tasks += 1 }
            Task.detached {
                _ = await self.settle(need, 0) { fs throws(Failure) in
                    try operation(fs)
                    return .done
                }
                self.state.withLock { $0.tasks -= 1 }
            }
        }
    }
}
