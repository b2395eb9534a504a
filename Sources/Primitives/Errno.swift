import Glibc

/// A POSIX error number (errno(3)).
public struct Errno: Error, Hashable, Sendable, CustomStringConvertible {
    public let code: Int32

    public init(_ code: Int32) { self.code = code }

    /// The calling thread's errno, to be taken right after the failing call.
    public static var current: Errno { Errno(errno) }

    public var description: String { String(cString: strerror(code)) }

    /// Calls `body` until it doesn't fail with EINTR; -1 throws the errno.
    @discardableResult
    public static func check<Number: SignedInteger>(_ body: () -> Number) throws(Errno) -> Number {
        while true {
            let result = body()
            if result != -1 { return result }
            let code = errno
            if code != EINTR { throw Errno(code) }
        }
    }
}
