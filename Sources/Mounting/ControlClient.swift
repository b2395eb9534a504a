import Glibc
import Primitives

/// A command's side of the control socket. Blocks its thread.
public struct ControlClient: Sendable {
    let directory: CacheDirectory

    public init(cacheDirectory: String) { directory = CacheDirectory(path: cacheDirectory) }

    /// Sends a request and passes what comes before the last reply to `each`. Returns the last one's failure, or nil
    /// for `.done`. `silenceMilliseconds`: how long the daemon may say nothing. If it dies, the one that its keeper
    /// starts next is asked the same.
    public func ask(
        _ request: ControlRequest, silenceMilliseconds: Int64?, _ each: (ControlReply) -> Void
    ) -> MountFailure? {
        let time = SystemTime()
        var lost = time.monotonic()
        while true {
            let (failure, isLost) = askOnce(
                request, silenceMilliseconds,
                {
                    lost = time.monotonic()
                    each($0)
                })
            guard isLost, time.monotonic().milliseconds(since: lost) < Self.restartMilliseconds,
                CacheLock.isHeld(directory)
            else { return failure }
            usleep(Self.retryMicroseconds)
        }
    }

    /// For a daemon that has died to be followed by another.
    private static let restartMilliseconds: Int64 = 15_000
    private static let retryMicroseconds: UInt32 = 50_000

    /// `isLost`: nobody was there, or went away before the last reply.
    private func askOnce(
        _ request: ControlRequest, _ silenceMilliseconds: Int64?, _ each: (ControlReply) -> Void
    ) -> (failure: MountFailure?, isLost: Bool) {
        let socket: ControlSocket
        do {
            socket = try ControlSocket.connect(directory)
        } catch {
            return (MountFailure(.failed, "the daemon doesn't answer: \(error)"), true)
        }
        socket.setReadLimit(milliseconds: silenceMilliseconds)
        guard socket.send(request.line) else { return (MountFailure(.failed, "the daemon doesn't listen"), true) }
        while let line = socket.receive() {
            guard let reply = ControlReply(line: line) else {
                return (MountFailure(.failed, "the daemon is of another version: \(line)"), false)
            }
            switch reply {
            case .done: return (nil, false)
            case .failed(let code, let message): return (MountFailure(code, message), false)
            default: each(reply)
            }
        }
        return (MountFailure(.failed, "the daemon has stopped answering; see \(directory.log)"), socket.isOver)
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
