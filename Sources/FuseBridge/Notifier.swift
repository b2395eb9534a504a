import CFuse
import FileSystem
import Glibc
import Primitives
import Telemetry

/// Tells the kernel what to forget, from a thread of its own: the kernel may have to wait for a request to be answered
/// before it can, so the threads that answer requests must not wait for it.
final class Notifier: Sendable {
    private struct State {
        var pending: [Invalidation] = []
        var dropped = 0
        var stopped = false
    }

    private let state = Lock(State())
    private let wake = Semaphore()
    private let log: Log

    init(log: Log) { self.log = log }

    /// Never waits. What is too much is dropped: the kernel keeps it until its timeout.
    func post(_ invalidation: Invalidation) {
        let (first, firstDropped) = state.withLock { state -> (Bool, Bool) in
            if state.stopped { return (false, false) }
            if state.pending.count >= Limits.pendingInvalidations {
                state.dropped += 1
                return (false, state.dropped == 1)
            }
            state.pending.append(invalidation)
            return (state.pending.count == 1, false)
        }
        if first { wake.signal() }
        if firstDropped { log.warning("fuse", "too many changes at once: the kernel is told of some by timeout only") }
    }

    func stop() {
        state.withLock { $0.stopped = true }
        wake.signal()
    }

    /// Works until `stop`.
    func run(_ session: OpaquePointer) {
        while true {
            wake.wait()
            let (batch, stopped) = state.withLock { state -> ([Invalidation], Bool) in
                defer { state.pending = [] }
                state.dropped = 0
                return (state.pending, state.stopped)
            }
            if stopped { return }
            for invalidation in batch { notify(session, invalidation) }
        }
    }

    private func notify(_ session: OpaquePointer, _ invalidation: Invalidation) {
        let result: Int32
        switch invalidation {
        case .entry(let parent, let name):
            result = name.bytes.withUnsafeBytes { bytes in
                let text = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
                return fuse_lowlevel_notify_inval_entry(session, parent.raw, text, bytes.count)
            }
        // A negative offset means the attributes alone, a length of 0 everything from the offset on.
        case .attributes(let node): result = fuse_lowlevel_notify_inval_inode(session, node.raw, -1, 0)
        case .content(let node): result = fuse_lowlevel_notify_inval_inode(session, node.raw, 0, 0)
        }
        // ENOENT: the kernel doesn't have it.
        if result != 0 && result != -ENOENT { log.debug("fuse", "invalidation: \(Errno(-result))") }
    }
}
