import Primitives

/// Work that several callers may want at once and that is done once for all of them.
final class Flights<Key: Hashable & Sendable>: Sendable {
    private let flying = Lock([Key: Task<Result<Void, BucketError>, Never>]())

    /// Joins the flight for `key`, or begins it. The flight goes on when a waiting caller is cancelled.
    func join(
        _ key: Key, _ body: @escaping @Sendable () async -> Result<Void, BucketError>
    ) async throws(BucketError) {
        let task = flying.withLock { flying in
            if let task = flying[key] { return task }
            let task = Task {
                let result = await body()
                self.flying.withLock { _ = $0.removeValue(forKey: key) }
                return result
            }
            flying[key] = task
            return task
        }
        try await task.value.get()
    }
}
