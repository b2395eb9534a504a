import ObjectStore
import Primitives
import Telemetry

/// A store that tries again what failed for a passing reason, after waits with full jitter or as the store asks.
///
/// Reads, lists and heads are tried again whatever the passing reason. Writes, copies and deletes only if the error says
/// that nothing happened (throttled): others go up, for whoever asked can find out what happened. A blind second try of a
/// conditional write could fail on the first one's success, and a delete that is carried out late must be known of before
/// the same bytes are written there again.
public final class Retrying: Interceptor {
    public let store: any ObjectStore
    private let policy: RetryPolicy
    private let time: any TimeSource
    private let log: Log
    private let generator: Lock<SeededGenerator>

    /// - Parameters:
    ///   - policy: how many attempts in all, and the waits between them.
    ///   - seed: of the jitter; the same seed gives the same waits.
    public init(
        _ store: any ObjectStore, policy: RetryPolicy = RetryPolicy(), time: any TimeSource = SystemTime(),
        seed: UInt64 = .random(in: 0...UInt64.max), log: Log = .silent
    ) {
        self.store = store
        self.policy = policy
        self.time = time
        self.log = log
        generator = Lock(SeededGenerator(seed: seed))
    }

    public func intercept<Answer: Sendable>(
        _ call: LayerCall, _ perform: @Sendable () async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer {
        var failures = 0
        while true {
            do throws(StoreError) {
                return try await perform()
            } catch {
                failures += 1
                try await waitOrThrow(error, failures: failures, call)
            }
        }
    }

    /// Tries again only the keys that failed for a passing reason.
    public func delete(_ keys: [ByteString]) async throws(StoreError) -> [StoreError?] {
        var results: [StoreError?] = keys.map { _ in nil }
        var pending = Array(keys.indices)
        var failures = 0
        while true {
            let wanted = pending.map { keys[$0] }
            let call = LayerCall(operation: .deleteMany, key: wanted.first)
            let errors = try await intercept(call) { [store] () async throws(StoreError) in
                try await store.delete(wanted)
            }
            for (index, error) in zip(pending, errors) { results[index] = error }
            pending = pending.filter { results[$0]?.isTransient == true }
            guard let first = pending.first, let error = results[first] else { return results }
            failures += 1
            do throws(StoreError) {
                try await waitOrThrow(error, failures: failures, call)
            } catch {
                if error.kind == .cancelled { throw error }
                return results
            }
        }
    }

    /// Returns when it is time for the next attempt.
    private func waitOrThrow(_ error: StoreError, failures: Int, _ call: LayerCall) async throws(StoreError) {
        let decision = generator.withLock {
            RetryDecision(after: error, failures: failures, operation: call.operation, policy: policy, using: &$0)
        }
        guard case .retry(let wait) = decision else { throw error }
        log.info("store", "\(error); attempt \(failures + 1) of \(policy.attempts) in \(wait) ms")
        await time.sleep(milliseconds: wait)
        if Task.isCancelled { throw StoreError(.cancelled, call.operation.rawValue, key: call.key) }
    }
}
