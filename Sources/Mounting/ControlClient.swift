import Glibc
import Primitives

/// A command's side of the control socket. Blocks its thread.
public struct ControlClient: Sendable {
    let directory: CacheDirectory

    public init(cacheDirectory: String) { directory = CacheDirectory(path: cacheDirectory) }

    /// Sends a request and passes what comes before the last reply to `each`. Returns the last one's failure, or nil
    /// for `.done`. `silenceMilliseconds`: how long the daemon may say nothing.
    public func ask(
        _ request: ControlRequest, silenceMilliseconds: Int64?, _ each: (ControlReply) -> Void
    ) -> MountFailure? {
        let socket: ControlSocket
        do {
            socket = try ControlSocket.connect(directory)
        } catch {
            return MountFailure(.failed, "the daemon doesn't answer: \(error)")
        }
        socket.setReadLimit(milliseconds: silenceMilliseconds)
        guard socket.send(request.line) else { return MountFailure(.failed, "the daemon doesn't listen") }
        while let line = socket.receive() {
            guard let reply = ControlReply(line: line) else {
                return MountFailure(.failed, "the daemon is of another version: \(line)")
            }
            switch reply {
            case .done: return nil
            case .failed(let code, let message): return MountFailure(code, message)
            default: each(reply)
            }
        }
        return MountFailure(.failed, "the daemon has stopped answering; see \(directory.log)")
    }

    /// Waits until the daemon has let go of its cache directory; false if it takes longer.
    public func waitForEnd(milliseconds: Int64) -> Bool {
        let time = SystemTime()
        let begin = time.monotonic()
        while CacheLock.isHeld(directory) {
            if time.monotonic().milliseconds(since: begin) > milliseconds { return false }
            usleep(10_000)
        }
        return true
    }
}
