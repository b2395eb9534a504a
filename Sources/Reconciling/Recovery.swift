import BlockCache
import Glibc
import Primitives
import Telemetry
import Tree

/// What a start found.
public struct Recovered: Sendable {
    /// Files with changes that are not yet in the bucket.
    public var changedFiles: Int
    /// Files of which the local content went with a power loss while it was being uploaded: what they hold is known
    /// when the upload's outcome is (`Reconciler.settle`).
    public var unsettled: Set<NodeID>
}

/// Brings tree and cache together after a start, whatever the last run ended by.
public enum Recovery {
    private static let batch = 1_000

    /// - Parameter trustClean: the machine has not been switched off since the last run, so what the cache holds
    ///   unsynced is really on the disk.
    /// - Parameter isOpen: whether a node without a name is still open in a mount that lives on.
    public static func run(
        tree: Tree, cache: BlockCache, trustClean: Bool, isOpen: (NodeID) -> Bool = { _ in false }, log: Log
    ) throws(BucketError) -> Recovered {
        // Contents are removed for what the tree says: after power loss it must not say something else.
        try inTree(tree.makeDurable())
        let scan = try inCache(cache.startScan(trustClean: trustClean))
        var dirty = Set<NodeID>()
        var present = Set<UInt64>()
        let highest = try inTree(tree.highestNode())
        if scan.highest > highest.raw {
            // Another power loss may bring back what is removed now: nobody else may have these numbers.
            try inTree(tree.reserveNodes(upTo: NodeID(scan.highest)))
            try inTree(tree.makeDurable())
        }
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
            if found.isUnseen, !found.isDirty, isAsRecorded, !trustClean, node.origin != nil {
                // It may never have reached the disk, and can be fetched again.
                cache.remove(found.id)
                continue
            }
            present.insert(found.id)
            // Of two changes within a tick of the clock the second one can't be told.
            guard found.isDirty || found.isUnseen else { continue }
            dirty.insert(node.id)
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
        let unsettled = Set(try inTree(tree.interruptedUploads())).subtracting(dirty)
        try makeMissing(tree, cache, present: present, unsettled: unsettled, log)
        try forgetOrphans(tree, cache, isOpen)
        return Recovered(changedFiles: dirty.count, unsettled: unsettled)
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
        _ tree: Tree, _ cache: BlockCache, present: Set<UInt64>, unsettled: Set<NodeID>, _ log: Log
    ) throws(BucketError) {
        var after = NameID(0)
        while true {
            let from = after
            let names = try inTree(tree.namesWithWork(after: from, limit: batch))
            guard let last = names.last else { return }
            after = last
            for id in names {
                guard let name = try inTree(tree.name(id)), let node = try inTree(tree.node(name.node)),
                    node.isFile, node.origin == nil, !present.contains(node.id.raw), !unsettled.contains(node.id),
                    cache.existing(node.id.raw) == nil
                else { continue }
                if node.sizeBytes > 0 { log.error("recovery", "the content of \(name.name) never reached the disk") }
                try makeEmpty(node, tree, cache)
            }
        }
    }

    static func makeEmpty(_ node: Node, _ tree: Tree, _ cache: BlockCache) throws(BucketError) {
        _ = try inCache(cache.create(node.id.raw))
        try inTree(tree.settle(node.id, sizeBytes: 0, modified: node.modified, changed: node.changed))
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
