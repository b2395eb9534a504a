import Glibc
import ObjectStore
import Primitives

/// One call of the store: what its errors say, and whether it has been cancelled.
final class Request: Sendable {
    let operation: String
    let key: ByteString?
    private let cancelled = Lock(false)

    init(_ operation: String, _ key: ByteString?) {
        self.operation = operation
        self.key = key
    }

    func cancel() { cancelled.withLock { $0 = true } }

    func checkCancelled() throws(StoreError) {
        if cancelled.withLock({ $0 }) { throw error(.cancelled) }
    }

    func error(_ kind: StoreError.Kind, _ detail: String = "") -> StoreError {
        StoreError(kind, operation, key: key, detail: detail)
    }

    /// What a failed system call means for the caller.
    func failure(_ errno: Errno, _ call: StaticString) -> StoreError {
        let kind: StoreError.Kind =
            switch errno.code {
            case ENOENT: .notFound
            case EACCES, EPERM, EROFS: .accessDenied
            case ENOSPC, EDQUOT: .outOfSpace
            case EFBIG, ENAMETOOLONG, EINVAL, EISDIR, ENOTDIR, ELOOP, E2BIG: .refused
            case ENOTSUP, ENOSYS: .unsupported
            default: .unavailable
            }
        return error(kind, "\(call): \(errno)")
    }

    /// Calls `body` until it doesn't fail with EINTR; -1 throws.
    @discardableResult
    func check<Number: SignedInteger>(_ call: StaticString, _ body: () -> Number) throws(StoreError) -> Number {
        do throws(Errno) {
            return try Errno.check(body)
        } catch {
            throw failure(error, call)
        }
    }

    /// As `check`, but nil if there is nothing of that name (or it isn't of the kind asked for).
    func checkPresent(_ call: StaticString, _ body: () -> Int32) throws(StoreError) -> Int32? {
        do throws(Errno) {
            return try Errno.check(body)
        } catch {
            if [ENOENT, ENOTDIR, ELOOP, ENXIO].contains(error.code) { return nil }
            throw failure(error, call)
        }
    }
}

/// An open file descriptor, closed with the last reference.
final class Descriptor: Sendable {
    let number: Int32
    init(_ number: Int32) { self.number = number }
    deinit { close(number) }
}
