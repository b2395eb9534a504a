import Glibc
import Primitives
import Reconciling
import Tree

/// Directories being read.
extension FileSystem {
    /// Entries taken from the tree at a time.
    private static let readBatch = 256
    /// Entry offsets begin here: the bridge has those below for `.` and `..`.
    private static let firstOffset: UInt64 = 2

    public func openDirectory(_ id: NodeID, _ caller: Caller) throws(Failure) -> OpenedDirectory {
        let node = try directory(id)
        return OpenedDirectory(handle: add(.directory(id)), reading: reading(node))
    }

    /// What the kernel keeps of a listing is of use as long as it believes the names in it, too.
    private func reading(_ directory: Node) -> DirectoryReading {
        guard settings.keepsDirectories, discovery.isFresh(directory) else { return .asked }
        return listings.reading(directory.id, now: time.now(), youth: settings.nameMilliseconds / 2)
    }

    /// Gives the entries after `offset` (0: from the beginning) until `emit` returns false. Offsets stay good while
    /// entries come and go. With `plus`, entries whose attributes are known carry them, and each such one that is
    /// taken counts as a lookup.
    public func readDirectory(
        _ handle: HandleID, offset: UInt64, plus: Bool, _ emit: (DirectoryEntry) -> Bool
    ) throws(Failure) {
        let id = try directory(handle)
        let node = try directory(id)
        if offset == 0 {
            if !discovery.isFresh(node) { throw .need(.listing(id)) }
            noteAccess(node)
        }
        var after = offset > FileSystem.firstOffset ? Int64(offset - FileSystem.firstOffset) : 0
        while true {
            let children = try local(tree.children(of: id, after: NameID(after), limit: FileSystem.readBatch))
            for child in children {
                guard emit(shown(child, plus: plus)) else { return }
                if plus, child.node.isKnown { countLookup(child.node.id) }
                after = child.name.id.raw
            }
            if children.count < FileSystem.readBatch { return }
        }
    }

    /// The directory that holds this one, for its `..`; the root holds itself, and so does what was removed.
    public func parent(_ id: NodeID) throws(Failure) -> NodeID { try local(tree.parent(of: id)) ?? id }

    private func shown(_ child: Found, plus: Bool) -> DirectoryEntry {
        let entry = plus && child.node.isKnown ? entry(showing: attributes(of: child.node)) : nil
        return DirectoryEntry(
            name: child.name.name, node: child.node.id, type: child.node.isKnown ? child.node.type : 0,
            next: UInt64(child.name.id.raw) + FileSystem.firstOffset, entry: entry)
    }

    public func releaseDirectory(_ handle: HandleID) throws(Failure) {
        guard case .directory = remove(handle) else { throw Failure(EBADF) }
    }
}
