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
        let leftover = try leftover(of: situation.node)
        guard !situation.node.isDirectory, let held = situation.held ?? leftover, held.key != situation.wanted,
            !held.key.hasPrefix(ObjectName.own)
        else { return }
        _ = try await alone(with: [held.key]) { () async throws(BucketError) in
            try await stepAside(held, situation)
        }
    }

    /// The object of a name that is gone, which stays as long as another name of the node has none of its own.
    private func leftover(of node: Node) throws(BucketError) -> HeldObject? {
        guard let origin = node.origin, let held = try inTree(tree.held(at: origin.key)), held.owner == nil,
            held.node == node.id, held.etag == origin.etag
        else { return nil }
        return held
    }
}
