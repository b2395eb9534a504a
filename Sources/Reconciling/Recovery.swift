import BlockCache
import Glibc
import Primitives
import Telemetry
import Tree

/// Brings tree and cache together after a start, whatever the last run ended by.
public enum Recovery {
    private static let batch = 1_000

    /// - Parameter trustClean: the machine has not been switched off since the last run, so what the cache holds
    ///   unsynced is really on the disk.
    /// - Parameter isOpen: whether a node without a name is still open in a mount that lives on.
    /// - Returns: how many files had changes that were not yet uploaded.
    public static func run(
        tree: Tree, cache: BlockCache, trustClean: Bool, isOpen: (NodeID) -> Bool = { _ in false }, log: Log
    ) throws(BucketError) -> Int {
        // Contents are removed for what the tree says: after power loss it must not say something else.
        try inTree(tree.makeDurable())
        let scan = try inCache(cache.startScan(trustClean: trustClean))
        var dirty = 0
        var present = Set<UInt64>()
        let highest = try inTree(tree.highestNode())
        for found in scan.files {
            guard let node = try inTree(tree.node(NodeID(found.id))), node.links > 0 || isOpen(node.id) else {
                if found.isDirty, found.id > highest.raw {
                    try setAside(found.id, cache, log)
                } else {
                    cache.remove(found.id)
                }
                continue
            }
            let isAsRecorded = (found.sizeBytes, found.modified) == (node.sizeBytes, node.modified)
            if !found.isDirty, isAsRecorded, !trustClean, node.origin != nil {
                // It may never have reached the disk, and can be fetched again.
                cache.remove(found.id)
                continue
            }
            present.insert(found.id)
            // Of two changes within a tick of the clock the second one can't be told.
            guard found.isDirty || found.isUnseen else { continue }
            dirty += 1
            try inTree(tree.touchContent(node.id))
            let modified = node.isLive || found.isUnseen ? found.modified : node.modified
            try inTree(
                tree.settle(
                    node.id, sizeBytes: found.sizeBytes, modified: modified, changed: max(modified, node.changed)))
        }
        for id in scan.lost {
            log.error("recovery", "the page map of node \(id) can't be read; set aside in lost+found")
        }
        try settleLive(tree, present, log)
        try makeMissing(tree, cache, present, log)
        try forgetOrphans(tree, cache, isOpen)
        return dirty
    }

    /// Content of a node that the tree has never had: what it knew of it was lost.
    private static func setAside(_ id: UInt64, _ cache: BlockCache, _ log: Log) throws(BucketError) {
        let path = try inCache(cache.setAside(id))
        log.error("recovery", "the tree knows nothing of node \(id), which has changes; they are kept as \(path)")
    }

    /// Nodes that were being written and have no dirty content: nothing of the write had reached the disk.
    private static func settleLive(_ tree: Tree, _ present: Set<UInt64>, _ log: Log) throws(BucketError) {
        while true {
            let live = try inTree(tree.liveNodes(limit: batch))
            if live.isEmpty { return }
            for id in live {
                guard let node = try inTree(tree.node(id)) else { continue }
                try inTree(
                    tree.settle(
                        id, sizeBytes: node.sizeBytes, modified: node.modified, changed: node.changed))
            }
        }
    }

    /// Files made here whose content never reached the disk are empty.
    private static func makeMissing(
        _ tree: Tree, _ cache: BlockCache, _ present: Set<UInt64>, _ log: Log
    ) throws(BucketError) {
        var after = NameID(0)
        while true {
            let from = after
            let names = try inTree(tree.namesWithWork(after: from, limit: batch))
            guard let last = names.last else { return }
            after = last
            for id in names {
                guard let name = try inTree(tree.name(id)), let node = try inTree(tree.node(name.node)),
                    node.isFile, node.origin == nil, !present.contains(node.id.raw),
                    cache.existing(node.id.raw) == nil
                else { continue }
                if node.sizeBytes > 0 { log.error("recovery", "the content of \(name.name) never reached the disk") }
                _ = try inCache(cache.create(node.id.raw))
                try inTree(
                    tree.settle(node.id, sizeBytes: 0, modified: node.modified, changed: node.changed))
            }
        }
    }

    private static func forgetOrphans(
        _ tree: Tree, _ cache: BlockCache, _ isOpen: (NodeID) -> Bool
    ) throws(BucketError) {
        var after = NodeID(0)
        while true {
            let orphans = try inTree(tree.orphans(after: after, limit: batch))
            guard let last = orphans.last else { return }
            after = last
            for id in try inTree(tree.forgetOrphans(orphans.filter { !isOpen($0) })) { cache.remove(id.raw) }
        }
    }
}
