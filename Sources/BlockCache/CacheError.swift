import Glibc
import Primitives

/// A system call on the cache's disk that failed.
public struct CacheError: Error, Sendable, CustomStringConvertible {
    public let errno: Errno
    /// What was being done, as a verb: "write", "open".
    public let operation: String
    public let path: String

    public init(_ errno: Errno, _ operation: String, _ path: String) {
        self.errno = errno
        self.operation = operation
        self.path = path
    }

    /// The disk (or the user's quota) is full: making room and trying again may help.
    public var isFull: Bool { errno.code == ENOSPC || errno.code == EDQUOT }

    public var description: String { "\(operation) \(path): \(errno)" }

    /// Calls `body` until it doesn't fail with EINTR; -1 throws what errno says.
    @discardableResult
    static func check<Number: SignedInteger>(
        _ operation: String, _ path: String, _ body: () -> Number
    ) throws(CacheError) -> Number {
        do {
            return try Errno.check(body)
        } catch {
            throw CacheError(error, operation, path)
        }
    }
}
