import BlockCache
import Primitives
import Reconciling
import Tree

/// Times of access, kept as the mount option `relatime` does (mount(8)).
extension FileSystem {
    private static let dayMilliseconds: Int64 = 86_400_000

    /// Marks that something was read. Only here: the bucket gets it with the next change of other attributes, since a
    /// read shall not rewrite objects.
    func noteAccess(_ node: Node) { noteAccess(node, at: time.now()) }

    func noteAccess(_ node: Node, at now: Timestamp) {
        guard isAccessDue(node, now) else { return }
        do throws(TreeError) {
            try tree.update(node.id, forBucket: false) { $0.accessed = now }
        } catch {
            log.debug("files", "the access to \(node.id) is not noted: \(error)")
        }
    }

    private func isAccessDue(_ node: Node, _ now: Timestamp) -> Bool {
        guard !settings.isReadOnly else { return false }
        let modified = state.withLock { $0.open[node.id] }?.state.withLock { $0.modified }
        return node.accessed <= max(node.modified, node.changed, modified ?? node.modified)
            || now.milliseconds(since: node.accessed) >= FileSystem.dayMilliseconds
    }

    /// Before somebody gets to read the file past this process.
    func primeAccess(_ open: OpenNode, _ node: Node) {
        guard isAccessDue(node, time.now()) else { return }
        do throws(CacheError) {
            try open.file.primeAccess()
        } catch {
            log.debug("files", "accesses to \(node.id) won't be noted: \(error)")
        }
    }

    /// Marks that the file was read past this process, if it was: when.
    @discardableResult
    func noteUnseenAccess(_ open: OpenNode) -> Timestamp? {
        guard let accessed = open.file.takeAccess(), let node = (try? tree.node(open.id)) ?? nil else { return nil }
        noteAccess(node, at: accessed)
        return accessed
    }
}
