import Primitives
import Reconciling
import Tree

/// Times of access, kept as the mount option `relatime` does (mount(8)).
extension FileSystem {
    private static let dayMilliseconds: Int64 = 86_400_000

    /// Marks that something was read. Only here: the bucket gets it with the next change of other attributes, since a
    /// read shall not rewrite objects.
    func noteAccess(_ node: Node) {
        guard !settings.isReadOnly else { return }
        let now = time.now()
        let modified = state.withLock { $0.open[node.id] }?.state.withLock { $0.modified }
        let isDue =
            node.accessed <= max(node.modified, node.changed, modified ?? node.modified)
            || now.milliseconds(since: node.accessed) >= FileSystem.dayMilliseconds
        guard isDue else { return }
        do throws(TreeError) {
            try tree.update(node.id, forBucket: false) { $0.accessed = now }
        } catch {
            log.debug("files", "the access to \(node.id) is not noted: \(error)")
        }
    }
}
