import CSystem
import Glibc
import Primitives

/// One end of a connection over a control socket: lines in both directions.
final class ControlSocket: Sendable {
    /// A line that is longer is no message.
    private static let maximumLineBytes = 16 << 10

    private let descriptor: Int32
    private let received = Lock([UInt8]())
    /// The other side has closed, or died.
    private let over = Lock(false)
    var isOver: Bool { over.withLock { $0 } }

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// A connection to the daemon of this cache directory.
    static func connect(_ directory: CacheDirectory) throws(Errno) -> ControlSocket {
        let descriptor = try make()
        do {
            try withAddress(directory) { address, length throws(Errno) in
                _ = try Errno.check { Glibc.connect(descriptor, address, length) }
            }
        } catch {
            close(descriptor)
            throw error
        }
        return ControlSocket(descriptor)
    }

    /// A descriptor that listens.
    static func listen(_ directory: CacheDirectory) throws(Errno) -> Int32 {
        let descriptor = try make()
        unlink(directory.control)
        do {
            try withAddress(directory) { address, length throws(Errno) in
                try Errno.check { bind(descriptor, address, length) }
                try Errno.check { chmod(directory.control, 0o600) }
                _ = try Errno.check { Glibc.listen(descriptor, 16) }
            }
        } catch {
            close(descriptor)
            throw error
        }
        return descriptor
    }

    /// How long a read may wait for the other side; nil: for ever.
    func setReadLimit(milliseconds: Int64?) { Self.setLimit(descriptor, SO_RCVTIMEO, milliseconds ?? 0) }
    func setWriteLimit(milliseconds: Int64) { Self.setLimit(descriptor, SO_SNDTIMEO, milliseconds) }

    /// False when the other side has gone or doesn't read.
    @discardableResult
    func send(_ line: String) -> Bool {
        var rest = Array((line + "\n").utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// The next line; nil when the other side has closed or takes too long.
    func receive() -> String? {
        while true {
            let line = received.withLock { bytes -> String? in
                guard let end = bytes.firstIndex(of: 10) else { return nil }
                defer { bytes.removeSubrange(...end) }
                return String(decoding: bytes[..<end], as: UTF8.self)
            }
            if let line { return line }
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0, errno == EINTR { continue }
            if count == 0 || errno == ECONNRESET { over.withLock { $0 = true } }
            guard count > 0 else { return nil }
            let size = received.withLock { bytes -> Int in
                bytes += buffer[..<count]
                return bytes.count
            }
            if size > Self.maximumLineBytes { return nil }
        }
    }

    private static func make() throws(Errno) -> Int32 {
        try Errno.check { socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0) }
    }

    private static func setLimit(_ descriptor: Int32, _ option: Int32, _ milliseconds: Int64) {
        var limit = timeval(tv_sec: Int(milliseconds / 1000), tv_usec: Int(milliseconds % 1000) * 1000)
        setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    /// The socket's address, through the directory's descriptor: sockaddr_un holds 108 bytes only, paths are longer.
    private static func withAddress(
        _ directory: CacheDirectory, _ body: (UnsafePointer<sockaddr>, socklen_t) throws(Errno) -> Void
    ) throws(Errno) {
        let parent = try Errno.check { pail_open(directory.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0) }
        defer { close(parent) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array("/proc/self/fd/\(parent)/control.sock".utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let outcome = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address -> Result<Void, Errno> in
                do throws(Errno) {
                    return .success(try body(address, length))
                } catch {
                    return .failure(error)
                }
            }
        }
        try outcome.get()
    }
}
