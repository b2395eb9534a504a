import ObjectStore
import Primitives
import Tree

extension Reconciler {
    /// `alone`, but false also where the name has to wait for what is in its way.
    func orWait(
        _ name: NameID, with keys: Set<ByteString>, _ body: () async throws(BucketError) -> Void
    ) async throws(BucketError) -> Bool {
        do throws(BucketError) {
            return try await alone(with: keys, body)
        } catch {
            try await yield(after: error, name)
            return false
        }
    }

    /// In a directory as a bucket nothing can be below a file, so that a file and a directory that change places keep
    /// each other from theirs. When the store refuses this name's object because of objects that are still to move, it
    /// has to wait for them, and its own goes to a key where it is in nobody's way. Throws `error` if it is another.
    private func yield(after error: BucketError, _ name: NameID) async throws(BucketError) {
        guard case .store(let cause) = error, cause.kind == .refused,
            try await !inStore(await objects.capabilities()).keepsDirectoryMarkers,
            let situation = try inTree(tree.situation(of: name)), try inTree(tree.isObstructed(situation.wanted))
        else { throw error }
        guard !situation.node.isDirectory, let held = situation.held, held.key != situation.wanted,
            !held.key.hasPrefix(ObjectName.own)
        else { return }
        _ = try await alone(with: [held.key]) { () async throws(BucketError) in
            try await stepAside(held, situation)
        }
    }
}
