import Foundation
import Glibc
import Primitives

/// A real HTTP/1.1 server on a free loopback port: a thread for each connection, and a closure that answers.
final class TestServer: Sendable {
    struct Request: Sendable {
        var method = ""
        var target = ""
        var headers: [String: String] = [:]
        var headerLines: [String] = []
        var body: [UInt8] = []
        /// The number of the connection, from 0, and of the request on it, from 0.
        var connection = 0
        var number = 0
    }

    struct Statistics: Sendable {
        var connections = 0
        var requests: [Request] = []
        var running = 0
        var mostRunning = 0
    }

    private struct State {
        var statistics = Statistics()
        var sockets: Set<Int32> = []
        var threads = 0
        var isStopped = false
    }

    let port: UInt16
    private let listener: Int32
    private let readsBody: Bool
    private let greeting: String
    private let state = Lock(State())
    private let answer: @Sendable (Request, Connection) -> Void

    var url: String { "http://127.0.0.1:\(port)" }
    var statistics: Statistics { state.withLock { $0.statistics } }

    /// - Parameters:
    ///   - readsBody: false leaves the request's body to `answer`.
    ///   - greeting: what to send before a request comes.
    init(readsBody: Bool = true, greeting: String = "", answer: @escaping @Sendable (Request, Connection) -> Void) {
        self.answer = answer
        self.readsBody = readsBody
        self.greeting = greeting
        (listener, port) = Self.listen(backlog: 256)
        state.withLock { $0.threads += 1 }
        Thread { self.accept() }.start()
    }

    static func listen(backlog: Int32) -> (Int32, UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                precondition(bind(descriptor, generic, length) == 0)
                precondition(getsockname(descriptor, generic, &length) == 0)
            }
        }
        precondition(Glibc.listen(descriptor, backlog) == 0)
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    /// Closes everything and waits for the threads.
    func stop() {
        state.withLock { state in
            state.isStopped = true
            for socket in state.sockets { shutdown(socket, Int32(SHUT_RDWR)) }
        }
        shutdown(listener, Int32(SHUT_RDWR))
        for _ in 0..<1000 where state.withLock({ $0.threads }) > 0 { usleep(5_000) }
        close(listener)
    }

    private func accept() {
        defer { state.withLock { $0.threads -= 1 } }
        while true {
            let socket = Glibc.accept(listener, nil, nil)
            guard socket >= 0 else { return }
            let number = state.withLock { state -> Int? in
                if state.isStopped { return nil }
                state.sockets.insert(socket)
                state.threads += 1
                state.statistics.connections += 1
                return state.statistics.connections - 1
            }
            guard let number else {
                close(socket)
                return
            }
            Thread {
                self.serve(Connection(socket), number)
                self.state.withLock { state in
                    state.sockets.remove(socket)
                    state.threads -= 1
                    close(socket)
                }
            }.start()
        }
    }

    private func serve(_ connection: Connection, _ number: Int) {
        connection.send(greeting)
        var count = 0
        while connection.isOpen, var request = connection.readHead() {
            request.connection = number
            request.number = count
            count += 1
            if readsBody, let length = Int(request.headers["content-length"] ?? "0") {
                guard let body = connection.read(length) else { return }
                request.body = body
            }
            state.withLock { state in
                state.statistics.requests.append(request)
                state.statistics.running += 1
                state.statistics.mostRunning = max(state.statistics.mostRunning, state.statistics.running)
            }
            answer(request, connection)
            state.withLock { $0.statistics.running -= 1 }
        }
    }

    /// The server's end of a connection; belongs to one thread.
    final class Connection {
        private let socket: Int32
        private var buffer: [UInt8] = []
        private(set) var isOpen = true

        init(_ socket: Int32) {
            self.socket = socket
            var limit = timeval(tv_sec: 20, tv_usec: 0)
            setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            var on: Int32 = 1
            setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        }

        func readHead() -> Request? {
            let end = Array("\r\n\r\n".utf8)
            while true {
                if let range = buffer.firstRange(of: end) {
                    let text = String(decoding: buffer[..<range.lowerBound], as: UTF8.self)
                    buffer.removeSubrange(..<range.upperBound)
                    return Self.parse(text)
                }
                guard fill(4096) else { return nil }
            }
        }

        private static func parse(_ text: String) -> Request {
            var request = Request()
            var lines = text.components(separatedBy: "\r\n")
            let first = lines.removeFirst().components(separatedBy: " ")
            request.method = first[0]
            request.target = first[1]
            request.headerLines = lines
            for line in lines {
                let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                request.headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
            }
            return request
        }

        func read(_ count: Int) -> [UInt8]? {
            while buffer.count < count { guard fill(1 << 20) else { return nil } }
            let bytes = Array(buffer[..<count])
            buffer.removeSubrange(..<count)
            return bytes
        }

        private func fill(_ size: Int) -> Bool {
            let bytes = [UInt8](unsafeUninitializedCapacity: size) { target, count in
                count = max(0, recv(socket, target.baseAddress, size, 0))
            }
            buffer += bytes
            return !bytes.isEmpty
        }

        func send(_ text: String) { send(Array(text.utf8)) }

        func send(_ bytes: [UInt8]) {
            var sent = 0
            while sent < bytes.count {
                let count = bytes.withUnsafeBytes {
                    Glibc.send(socket, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { return }
                sent += count
            }
        }

        func respond(_ status: Int = 200, headers: [String] = [], body: [UInt8] = []) {
            let lines = ["HTTP/1.1 \(status) Text", "Content-Length: \(body.count)"] + headers
            send(lines.joined(separator: "\r\n") + "\r\n\r\n")
            send(body)
        }

        /// Ends the connection.
        func hangUp() {
            isOpen = false
            shutdown(socket, Int32(SHUT_RDWR))
        }

        /// Waits until the client hangs up, 20 s at most.
        func awaitEnd() {
            isOpen = false
            while fill(4096) {}
        }
    }
}

/// Bytes without a short period, made without a loop over each of them.
func pattern(_ count: Int) -> [UInt8] {
    var generator = SeededGenerator(seed: UInt64(count))
    let words = (0..<min(4099, count / 8 + 1)).map { _ in generator.next() }
    let period = words.withUnsafeBytes { Array($0) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + period.count)
    while bytes.count < count { bytes += period }
    bytes.removeLast(bytes.count - count)
    return bytes
}

func same(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.count == right.count && (left.isEmpty || memcmp(left, right, left.count) == 0)
}
