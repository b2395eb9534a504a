import ObjectStore
import Primitives

/// What to do about a call that failed.
enum RetryDecision: Equatable {
    case giveUp
    case retry(afterMilliseconds: Int64)

    /// How many times bytes that arrive altered are asked for again: more would hide a broken machine.
    static let corruptRetries = 3
    /// How many of the policy's ceilings a store may ask to wait.
    static let retryAfterCeilings: Int64 = 3

    /// - Parameter failures: how many attempts have failed, this one included.
    init(
        after error: StoreError, failures: Int, operation: LayerCall.Operation, policy: RetryPolicy,
        using generator: inout some RandomNumberGenerator
    ) {
        let attempts = error.kind == .corrupt ? min(policy.attempts, 1 + Self.corruptRetries) : policy.attempts
        guard error.isTransient, failures < attempts, operation.isRepeatable || !error.mayHaveHappened else {
            self = .giveUp
            return
        }
        let asked = min(error.retryAfterMilliseconds ?? 0, policy.ceilingMilliseconds * Self.retryAfterCeilings)
        self = .retry(
            afterMilliseconds: max(asked, policy.delayMilliseconds(attempt: failures, using: &generator)))
    }
}
