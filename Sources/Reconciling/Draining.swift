import Primitives
import Tree

/// What is waiting and what went wrong, for people.
public struct ReconcileStatus: Sendable {
    public var backlog: Backlog
    public var running: Int
    public var failing: Int
    public var lastError: String?
    /// Bytes of content sent since the start.
    public var uploadedBytes: Int64
}

extension Reconciler {
    /// Leftovers beyond this number are waited for without a look at who reads them.
    private static let maximumRead = 1_000

    public func status() throws(BucketError) -> ReconcileStatus {
        let backlog = try inTree(tree.backlog())
        return state.withLock { state in
            ReconcileStatus(
                backlog: backlog, running: state.running, failing: state.failures.count,
                lastError: state.failures.values.max { $0.times < $1.times }?.message,
                uploadedBytes: state.uploadedBytes)
        }
    }

    /// Returns when the bucket has everything that the tree had at the call, or when the task is cancelled. Objects of
    /// removed files that are still open, and read from there, go when those are closed.
    public func drain() async throws(BucketError) {
        try await hurried { () async throws(BucketError) in
            while !Task.isCancelled {
                if try isDrained() { return }
                await pause()
            }
        }
    }

    /// Asked after each piece of work, so one that is left has to be enough for the answer.
    private func isDrained() throws(BucketError) -> Bool {
        guard try inTree(tree.namesWithWork(after: NameID(0), limit: 1)).isEmpty else { return false }
        guard let first = try inTree(tree.leftovers(limit: 1)).first else { return true }
        guard try isKept(first) else { return false }
        let leftovers = try inTree(tree.leftovers(limit: Reconciler.maximumRead + 1))
        guard leftovers.count <= Reconciler.maximumRead else { return false }
        for key in leftovers { guard try isKept(key) else { return false } }
        return true
    }

    /// Whether what is to be deleted has to stay for who reads it.
    private func isKept(_ key: ByteString) throws(BucketError) -> Bool {
        guard let held = try inTree(tree.held(at: key)), held.owner == nil else { return false }
        return try isBeingRead(held)
    }

    /// Returns when the bucket has the node as it is now. Throws when the store refuses it.
    public func drain(_ node: NodeID) async throws(BucketError) {
        try await hurried { () async throws(BucketError) in
            let names = try inTree(tree.names(of: node))
            for name in names {
                while !Task.isCancelled, try inTree(tree.isPending(name.id)) {
                    if let failure = state.withLock({ $0.failures[.name(name.id)] }), !failure.isTransient {
                        throw .store(.init(.refused, "upload", key: name.name, detail: failure.message))
                    }
                    await pause()
                }
            }
        }
    }

    /// From now on nothing is put off, until as many calls of `relax`.
    public func hurry() {
        let now = time.monotonic()
        state.withLock { state in
            state.hurries += 1
            state.queue.hurry(now)
            state.pausedUntil = nil
        }
        wakeUp()
    }

    public func relax() { state.withLock { $0.hurries -= 1 } }

    private func hurried(_ body: () async throws(BucketError) -> Void) async throws(BucketError) {
        hurry()
        defer { relax() }
        try await body()
    }

    /// Waits for some progress, a little while at the most.
    private func pause() async {
        let isIdle = state.withLock { $0.running == 0 }
        if isIdle {
            await time.sleep(milliseconds: 5)
        } else {
            await progress.wait(unless: { self.state.withLock { $0.running } == 0 })
        }
    }
}
