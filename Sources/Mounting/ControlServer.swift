import CSystem
import Glibc
import Primitives

/// Answers a daemon's requests.
protocol ControlHandling: Sendable {
    /// `reply` returns false when nobody listens any more; the last reply must be `.done` or `.failed`.
    func handle(_ request: ControlRequest, reply: @escaping @Sendable (ControlReply) -> Bool) async
}

/// The daemon's side of the control socket. One thread takes connections, each carries one request.
final class ControlServer: Sendable {
    private static let maximumConnections = 16
    private static let requestMilliseconds: Int64 = 2_000
    private static let replyMilliseconds: Int64 = 5_000

    private let directory: CacheDirectory
    private let descriptor: Int32
    private let connections = Lock(0)

    init(_ directory: CacheDirectory, handler: any ControlHandling) throws(MountFailure) {
        self.directory = directory
        do {
            descriptor = try ControlSocket.listen(directory)
        } catch {
            throw directory.failure("can't hold the control socket", error)
        }
        let descriptor = descriptor
        Threads.detach { [connections] in Self.serve(descriptor, connections, handler) }
    }

    /// Takes no further requests; those in flight go on.
    func close() {
        unlink(directory.control)
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    private static func serve(_ descriptor: Int32, _ connections: Lock<Int>, _ handler: any ControlHandling) {
        defer { Glibc.close(descriptor) }
        while true {
            let accepted = accept(descriptor, nil, nil)
            if accepted < 0 {
                if errno == EINTR || errno == ECONNABORTED { continue }
                if errno == EMFILE || errno == ENFILE {
                    usleep(100_000)
                    continue
                }
                return
            }
            _ = pail_fcntl(accepted, F_SETFD, Int(FD_CLOEXEC))
            let socket = ControlSocket(accepted)
            let free = connections.withLock { count -> Bool in
                guard count < maximumConnections else { return false }
                count += 1
                return true
            }
            socket.setReadLimit(milliseconds: requestMilliseconds)
            socket.setWriteLimit(milliseconds: replyMilliseconds)
            guard free else {
                socket.send(ControlReply.failed(.failed, "too many requests at a time").line)
                continue
            }
            answer(socket, connections, handler)
        }
    }

    private static func answer(_ socket: ControlSocket, _ connections: Lock<Int>, _ handler: any ControlHandling) {
        guard let line = socket.receive(), let request = ControlRequest(line: line) else {
            socket.send(ControlReply.failed(.failed, "not a request of this version").line)
            connections.withLock { $0 -= 1 }
            return
        }
        Task {
            await handler.handle(request) { socket.send($0.line) }
            connections.withLock { $0 -= 1 }
        }
    }
}
