import BlockCache
import Glibc
import ObjectStore
import Tree

/// Why work between tree and bucket failed.
public enum BucketError: Error, Sendable, CustomStringConvertible {
    case store(StoreError)
    case tree(TreeError)
    case cache(CacheError)
    /// The object's version that the cached part belongs to is gone from the bucket, and the rest is not here.
    case versionGone(String)
    /// The store may still be carrying out a request whose answer was lost: to be looked at after so long.
    case undecided(milliseconds: Int64)

    public var description: String {
        switch self {
        case .store(let error): error.description
        case .tree(let error): error.description
        case .cache(let error): error.description
        case .versionGone(let key): "\(key): the version that was open is no longer in the bucket"
        case .undecided(let milliseconds): "what became of the last request is looked at in \(milliseconds) ms"
        }
    }

    /// The file is being written: it is uploaded when it is left alone.
    var isBusy: Bool { if case .cache(let error) = self { error.errno.code == EBUSY } else { false } }

    /// Whether waiting alone may help.
    public var isTransient: Bool {
        if isBusy { return true }
        guard case .store(let error) = self else { return false }
        // A condition that failed was looked into; what was found decides what is tried next.
        return error.isTransient || error.kind == .cancelled || error.kind == .conditionFailed
    }
}

/// Evaluates `body` and gives its tree errors the layer's type.
public func inTree<Result>(_ body: @autoclosure () throws(TreeError) -> Result) throws(BucketError) -> Result {
    do { return try body() } catch let error { throw .tree(error) }
}

/// Evaluates `body` and gives its cache errors the layer's type.
func inCache<Result>(_ body: @autoclosure () throws(CacheError) -> Result) throws(BucketError) -> Result {
    do { return try body() } catch let error { throw .cache(error) }
}

/// Evaluates `body` and gives what came of it as a value.
func outcome<Result>(
    _ body: @autoclosure () async throws(StoreError) -> Result
) async -> Swift.Result<Result, StoreError> {
    do { return .success(try await body()) } catch let error { return .failure(error) }
}

/// Evaluates `body` and gives its store errors the layer's type.
func inStore<Result>(_ body: @autoclosure () async throws(StoreError) -> Result) async throws(BucketError) -> Result {
    do { return try await body() } catch let error { throw .store(error) }
}
