import BlockCache
import Glibc
import ObjectStore
import Primitives
import Reconciling
import Tree

/// The one place where the layers' errors become error numbers.
extension Errno {
    init(_ error: TreeError) {
        switch error {
        case .notFound: self.init(ENOENT)
        case .exists: self.init(EEXIST)
        case .notADirectory: self.init(ENOTDIR)
        case .isADirectory: self.init(EISDIR)
        case .notEmpty: self.init(ENOTEMPTY)
        case .loop: self.init(EINVAL)
        case .tooManyLinks: self.init(EMLINK)
        case .database(let cause): self.init(cause.isFull ? ENOSPC : EIO)
        }
    }

    init(_ error: BucketError) {
        switch error {
        case .tree(let cause): self.init(cause)
        case .cache(let cause): self = cause.errno
        case .versionGone: self.init(ESTALE)
        case .undecided: self.init(ETIMEDOUT)
        case .store(let cause): self.init(cause)
        }
    }

    private init(_ error: StoreError) {
        switch error.kind {
        case .notFound: self.init(ENOENT)
        case .accessDenied, .unauthenticated: self.init(EACCES)
        case .timedOut: self.init(ETIMEDOUT)
        case .outOfSpace: self.init(ENOSPC)
        case .unsupported: self.init(EOPNOTSUPP)
        case .cancelled: self.init(EINTR)
        case .conditionFailed: self.init(ESTALE)
        case .noBucket, .throttled, .unavailable, .corrupt, .refused: self.init(EIO)
        }
    }
}

/// Evaluates `body` and gives its tree errors their number.
func local<Result>(_ body: @autoclosure () throws(TreeError) -> Result) throws(Failure) -> Result {
    do { return try body() } catch let error { throw .errno(Errno(error)) }
}

/// Evaluates `body` and gives its cache errors their number.
func cached<Result>(_ body: @autoclosure () throws(CacheError) -> Result) throws(Failure) -> Result {
    do { return try body() } catch let error { throw .errno(error.errno) }
}
