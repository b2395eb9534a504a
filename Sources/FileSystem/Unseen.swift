import BlockCache
import Glibc
import Primitives
import Tree

/// Files that the kernel writes by itself: what has become of them is looked up whenever it matters, and now and then.
extension FileSystem {
    /// How soon after its last handle a file is looked at again: what the kernel had open goes a little later.
    private static let endMilliseconds: Int64 = 20

    /// From now on the file may be written unseen, also when the process dies before it is known whether it was.
    /// With the file's mode locked.
    func beginUnseen(_ open: OpenNode, _ access: Int32) throws(Failure) {
        if access == O_RDWR { open.state.withLock { $0.mayBeMapped = true } }
        if open.file.isUnseen { return }
        try settle(open)
        let node = try node(open.id)
        if isLarge(open, node), !open.file.knowsDigests { throw .need(.digests(open.id)) }
        try cached(open.file.beginUnseen(modified: node.modified))
        keepWatch(open)
        // What the kernel keeps of them it would believe in spite of stores to mapped memory. Of a new file it has none.
        if isKnownToKernel(open.id) { invalidate(.attributes(open.id)) }
    }

    /// Records what was written unseen since the last look.
    func look(_ open: OpenNode) throws(Failure) {
        guard open.file.isUnseen, let modified = try cached(open.file.noticeUnseen()) else { return }
        try noteChange(open, at: modified)
    }

    /// Records what was written to the node, so that its upload has the right size and time.
    func look(at node: NodeID) {
        guard let open = useIfOpen(node) else { return }
        defer { endUse(open) }
        do throws(Failure) { try settle(open) } catch { log.warning("files", "looking at \(node): \(error)") }
    }

    /// utimensat(2) of a file that may be written unseen. It counts as written, since a write shortly before can't be told
    /// from one that was seen any more.
    func restamp(_ open: OpenNode, _ modified: Timestamp) throws(Failure) {
        guard open.file.isUnseen else { return }
        try cached(open.file.restamp(modified))
        try noteChange(open, at: modified)
        try settle(open)
    }

    /// Goes on with what the process before has left open or written unseen. To be called before requests are served.
    public func resume() {
        for (slot, entry) in references?.openFiles.former ?? [] {
            let mode = OpenMode(backing: entry.backing, former: entry.handles, slot: slot)
            state.withLock { $0.former[entry.node] = mode }
            guard entry.backing != 0 else { continue }
            resume(entry.node) { open in open.mode.withLock { $0.isPinned = open.file.pinWhole() } }
        }
        for id in contents.unseenAtStart {
            resume(NodeID(id)) { open in
                guard let node = (try? tree.node(open.id)) ?? nil else { return }
                open.state.withLock { $0.mayBeMapped = true }
                let recorded = ContentStamp(sizeBytes: node.sizeBytes, modified: node.modified)
                do throws(CacheError) {
                    try open.file.resumeUnseen(recorded: recorded)
                } catch {
                    log.error("files", "node \(open.id) may be written unseen: \(error)")
                }
            }
        }
    }

    private func resume(_ id: NodeID, _ body: (OpenNode) -> Void) {
        guard let node = (try? tree.node(id)) ?? nil, node.isFile, let open = try? use(node) else { return }
        body(open)
        keepWatch(open)
        endUse(open)
    }

    /// The kernel has forgotten the node, so nobody has it open.
    func dropFormer(_ node: NodeID) {
        let mode = state.withLock { $0.former.removeValue(forKey: node) }
        if let slot = mode?.slot { references?.openFiles.remove(slot) }
        guard let open = useIfOpen(node) else { return }
        leaveFormer(open)
        endUse(open)
    }

    /// To be called when the file has no handle any more. False while somebody still has it mapped.
    func endUnseen(_ open: OpenNode) -> Bool {
        do throws(Failure) {
            // Before the mark on the disk goes.
            try settle(open)
            let isOver = try open.mode.withLock { mode throws(Failure) -> Bool in
                guard mode.handles == 0 else { return false }
                let mayBeMapped = open.state.withLock { $0.mayBeMapped }
                if mayBeMapped, open.file.isOpenElsewhere { return false }
                open.state.withLock { $0.mayBeMapped = false }
                if let changed = try cached(open.file.endUnseen()) { try noteChange(open, at: changed) }
                try settle(open)
                return true
            }
            if isOver { endWatch(open) }
            return isOver
        } catch {
            log.error("files", "recording what was written to \(open.id) failed: \(error)")
            return true
        }
    }

    /// The last handle of a file that was written unseen is given up; its use isn't ended yet.
    func finishUnseen(_ open: OpenNode) {
        if endUnseen(open) { return }
        guard let open = useIfOpen(open.id) else { return }
        Task { [weak self] in
            await self?.time.sleep(milliseconds: FileSystem.endMilliseconds)
            _ = self?.endUnseen(open)
            self?.endUse(open)
        }
    }
}
