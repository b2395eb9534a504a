import Primitives

/// Why a store did not do what it was asked.
public struct StoreError: Error, Sendable, CustomStringConvertible {
    public enum Kind: String, Sendable {
        /// The object doesn't exist.
        case notFound
        /// The bucket doesn't exist.
        case noBucket
        /// The condition of the request doesn't hold: another version is there, or one is there already.
        case conditionFailed
        /// The credentials are known and may not do this.
        case accessDenied
        /// The credentials are wrong, expired or missing, or the clocks differ too much.
        case unauthenticated
        /// The store asks for fewer requests.
        case throttled
        /// The store can't be reached or says it is broken. The request may have been carried out.
        case unavailable
        /// No answer in time. The request may have been carried out.
        case timedOut
        /// What arrived is not what the store says it has, or what it says can't be understood.
        case corrupt
        /// The store refuses the request as such (a key or metadata that it can't hold, too large).
        case refused
        /// The store can't do this at all.
        case unsupported
        /// The store is full.
        case outOfSpace
        /// The task was cancelled.
        case cancelled
    }

    public var kind: Kind
    /// What was being done, as a verb: "read", "list".
    public var operation: String
    public var key: ByteString?
    /// One line for people: the store's own words where it gave some. Never a secret.
    public var detail: String
    /// How long the store asks to wait (Retry-After).
    public var retryAfterMilliseconds: Int64?

    public init(
        _ kind: Kind, _ operation: String, key: ByteString? = nil, detail: String = "",
        retryAfterMilliseconds: Int64? = nil
    ) {
        self.kind = kind
        self.operation = operation
        self.key = key
        self.detail = detail
        self.retryAfterMilliseconds = retryAfterMilliseconds
    }

    /// Whether the same request may succeed later without anybody changing anything.
    public var isTransient: Bool {
        switch kind {
        case .throttled, .unavailable, .timedOut, .corrupt: true
        default: false
        }
    }

    /// Whether the request may have been carried out although this error came back.
    public var mayHaveHappened: Bool {
        switch kind {
        case .unavailable, .timedOut, .corrupt, .cancelled: true
        default: false
        }
    }

    public var description: String {
        let what = key.map { "\(operation) \($0)" } ?? operation
        return detail.isEmpty ? "\(what): \(kind.rawValue)" : "\(what): \(kind.rawValue): \(detail)"
    }
}
