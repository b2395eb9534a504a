import BlockCache
import Glibc
import Primitives
import Tree

/// Handles of files.
extension FileSystem {
    public func open(_ id: NodeID, flags: Int32, _ caller: Caller) throws(Failure) -> Opened {
        let node = try knownNode(id)
        let isWriting = flags & O_ACCMODE != O_RDONLY || flags & O_TRUNC != 0
        if isWriting { try requireWritable() }
        if node.isDirectory { throw Failure(EISDIR) }
        guard node.isFile else { throw Failure(ENXIO) }
        filesAhead.opens(id)
        let open = try use(node)
        let route: Route
        do throws(Failure) {
            if flags & O_TRUNC != 0 {
                // Also of an empty file: open(2) marks the times whatever the size was.
                _ = try cached(open.file.truncate(to: 0))
                try noteChange(open, killPrivileges: false)
            }
            route = try enter(open, node, flags: flags)
        } catch {
            endUse(open)
            throw error
        }
        return opened(open, flags, route)
    }

    private func opened(_ open: OpenNode, _ flags: Int32, _ route: Route) -> Opened {
        let handle = add(.file(OpenFile(open, flags: flags, fetcher, maximumWindowBytes: settings.readAheadBytes)))
        return Opened(handle: handle, route: route)
    }

    /// A handle of a node that was made in this request, live.
    func opened(_ open: OpenNode, _ node: Node, _ flags: Int32) throws(Failure) -> (Entry, Opened) {
        do throws(Failure) {
            let opened = opened(open, flags, try enter(open, node, flags: flags))
            try takeForChanged(open)
            return (entry(node), opened)
        } catch {
            endUse(open)
            throw error
        }
    }

    /// The tree, which has the node live, need not be told of its first change. Not if somebody else found the name, wrote
    /// and closed meanwhile.
    private func takeForChanged(_ open: OpenNode) throws(Failure) {
        try open.settling.withLock { _ throws(Failure) in
            let node = try node(open.id)
            guard node.isLive else { return }
            open.state.withLock { state in
                guard state.modified == nil else { return }
                state.announced = 0
                state.modified = node.modified
            }
        }
    }

    /// Every close(2) of a descriptor: what was written is recorded.
    public func flush(_ handle: HandleID, lockOwner: UInt64) throws(Failure) { try settle(try file(handle).node) }

    /// - Parameter isRepeated: the process before may have carried it out already.
    public func release(_ handle: HandleID, isRepeated: Bool = false) throws(Failure) {
        guard case .file(let file) = remove(handle) else { throw Failure(EBADF) }
        file.aheadFetches.cancel()
        noteUnseenAccess(file.node)
        if !isRepeated { leave(file) }
        endUse(file.node)
    }

    /// fsync and fdatasync: returns when the content and what leads to it is on the disk, or in the bucket if the
    /// mount says so.
    public func sync(_ handle: HandleID, dataOnly: Bool) throws(Failure) {
        let open = try file(handle).node
        try settle(open)
        try cached(open.file.sync(dataOnly: dataOnly))
        try local(tree.makeDurable())
        if settings.syncsToBucket { try requireUploaded(open.id) }
    }

    /// fsync of a directory: its names are on the disk.
    public func syncDirectory(_ handle: HandleID) throws(Failure) {
        let node = try directory(handle)
        try local(tree.makeDurable())
        if settings.syncsToBucket, node != .root { try requireUploaded(node) }
    }

    private func requireUploaded(_ id: NodeID) throws(Failure) {
        for name in try local(tree.names(of: id)) where try local(tree.isPending(name.id)) { throw .need(.upload(id)) }
    }

    /// Records in the tree what was written through the node's handles so far.
    func settle(_ open: OpenNode) throws(Failure) {
        try look(open)
        try open.settling.withLock { _ throws(Failure) in
            guard let written = open.state.withLock({ $0.modified }) else { return }
            let stamp = open.file.isUnseen ? open.file.present?.stamp : nil
            let modified = stamp?.modified ?? written
            try local(
                tree.settle(
                    open.id, sizeBytes: stamp?.sizeBytes ?? open.file.sizeBytes, modified: modified, changed: modified))
            open.state.withLock { state in
                guard state.modified == written else { return }
                state.modified = nil
                state.announced = nil
            }
        }
    }
}
