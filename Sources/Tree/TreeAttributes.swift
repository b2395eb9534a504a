import LocalDatabase
import Primitives

extension Tree {
    /// Changes a node's attributes. With `forBucket` the objects of its names have to follow.
    /// Returns the node as it is afterwards; `.notFound` if it is gone.
    @discardableResult
    public func update(_ id: NodeID, forBucket: Bool, _ body: (inout Node) -> Void) throws(TreeError) -> Node {
        try change { change in
            guard var node = try change.connection.node(id) else { throw TreeError.notFound }
            body(&node)
            if forBucket { node.attributes += 1 }
            try node.update(in: change.connection)
            if forBucket { try change.needsWork(node: id) }
            return node
        }
    }

    /// Records that the content is being changed: a new content version, size and times to be taken from the cache
    /// file until `settle`.
    public func touchContent(_ id: NodeID) throws(TreeError) {
        try change { change in
            try change.run(
                "UPDATE nodes SET content = content + 1, live = 1 WHERE id = ?", [.int(Int64(id.raw))])
            if change.connection.changes == 0 { throw TreeError.notFound }
            try change.revive(id)
            try change.needsWork(node: id)
        }
    }

    /// Records what the changed content has come to. The node may have got a later `changed` than the content meanwhile.
    public func settle(
        _ id: NodeID, sizeBytes: Int64, modified: Timestamp, changed: Timestamp, mode: UInt32? = nil
    ) throws(TreeError) {
        try change { change in
            try change.run(
                """
                UPDATE nodes SET size = ?, modified = ?, changed = MAX(changed, ?), mode = COALESCE(?, mode), live = 0
                WHERE id = ?
                """,
                [
                    .int(sizeBytes), .int(modified.nanoseconds), .int(changed.nanoseconds),
                    mode.map { .int(Int64($0)) } ?? .null, .int(Int64(id.raw)),
                ])
        }
    }

    /// The nodes that were being written when the process died; at most `limit`.
    public func liveNodes(limit: Int) throws(TreeError) -> [NodeID] {
        try look { connection throws(DatabaseError) in
            try connection.all("SELECT id FROM nodes WHERE live = 1 LIMIT ?", [.int(Int64(limit))]) {
                NodeID(stored: $0.int(0))
            }
        }
    }

    /// The last node that was ever made.
    public func highestNode() throws(TreeError) -> NodeID {
        try look { connection throws(DatabaseError) in
            try connection.first("SELECT seq FROM sqlite_sequence WHERE name = 'nodes'") {
                NodeID(stored: $0.int(0))
            } ?? .root
        }
    }

    /// No node made from now on has this number or a lower one.
    public func reserveNodes(upTo highest: NodeID) throws(TreeError) {
        try change { change in
            try change.run(
                "UPDATE sqlite_sequence SET seq = ? WHERE name = 'nodes' AND seq < ?",
                [.int(Int64(highest.raw)), .int(Int64(highest.raw))])
        }
    }
}
