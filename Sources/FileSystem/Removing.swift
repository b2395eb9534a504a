import Glibc
import Primitives
import Reconciling
import Tree

/// Names that go or move.
extension FileSystem {
    public func unlink(_ parent: NodeID, _ name: ByteString, _ caller: Caller) throws(Failure) {
        try requireWritable()
        if let found = try find(directory(parent), name) { try requireStated(found.node) }
        let removed = try local(tree.unlink(parent, name, now: time.now()))
        if removed.isOrphan { losesLastName(removed.node.id) }
    }

    public func removeDirectory(_ parent: NodeID, _ name: ByteString, _ caller: Caller) throws(Failure) {
        try requireWritable()
        guard let found = try find(directory(parent), name) else { throw Failure(ENOENT) }
        try requireEmpty(found.node)
        let removed = try local(tree.removeDirectory(parent, name, now: time.now()))
        forgetIfUnused(removed.node.id)
    }

    /// What has several names states in each object how many, so what is left has to be written anew.
    private func requireStated(_ node: Node) throws(Failure) {
        if node.linkCount > 1, !node.isKnown { throw .need(.attributes(node.id)) }
    }

    /// Throws if the directory has entries, here or in the bucket.
    private func requireEmpty(_ node: Node) throws(Failure) {
        guard node.isDirectory else { throw Failure(ENOTDIR) }
        guard discovery.isFresh(node) else { throw .need(.listing(node.id)) }
        if try !local(tree.children(of: node.id, after: NameID(0), limit: 1)).isEmpty { throw Failure(ENOTEMPTY) }
    }

    /// rename(2) with `flags` of renameat2(2).
    public func rename(
        _ parent: NodeID, _ name: ByteString, to newParent: NodeID, _ newName: ByteString, flags: UInt32,
        _ caller: Caller
    ) throws(Failure) {
        let noReplace: UInt32 = 1
        let exchange: UInt32 = 2
        guard flags & ~(noReplace | exchange) == 0, flags != noReplace | exchange else { throw Failure(EINVAL) }
        try requireWritable()
        let source = try directory(parent)
        guard let moved = try find(source, name) else { throw Failure(ENOENT) }
        let destination = try directory(newParent)
        try requireFitting(destination, newName)
        let target = try find(destination, newName)
        // What is moved keeps its attributes, so they have to be known: the object is written anew.
        guard moved.node.isKnown else { throw .need(.attributes(moved.node.id)) }
        if let target { try requireStated(target.node) }
        if flags == exchange { return try self.exchange(source, name, destination, newName, target) }
        if let target, target.node.isDirectory, moved.node.isDirectory, flags == 0, target.node.id != moved.node.id {
            try requireEmpty(target.node)
        }
        let replaced = try local(
            tree.rename(parent, name, to: newParent, newName, noReplace: flags == noReplace, now: time.now()))
        if let replaced, replaced.isOrphan || replaced.node.isDirectory { losesLastName(replaced.node.id) }
    }

    private func exchange(
        _ source: Node, _ name: ByteString, _ destination: Node, _ newName: ByteString, _ target: Found?
    ) throws(Failure) {
        guard let target else { throw Failure(ENOENT) }
        guard target.node.isKnown else { throw .need(.attributes(target.node.id)) }
        try local(tree.exchange(source.id, name, with: destination.id, newName, now: time.now()))
    }
}
