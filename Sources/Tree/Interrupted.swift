import Glibc
import LocalDatabase
import Primitives

/// Uploads whose end nobody recorded.
extension Tree {
    /// The writes of the node that are on record and whose outcome is not known.
    public func attempts(of node: NodeID) throws(TreeError) -> [Attempt] {
        try look { connection throws(DatabaseError) in
            try connection.all(
                "SELECT * FROM attempts WHERE node = ?", [.int(Int64(node.raw))]
            ) { Attempt(row: $0) }
        }
    }

    /// Where writes may lie whose outcome is not known.
    public func keysOfAttempts() throws(TreeError) -> [ByteString] {
        try look { connection throws(DatabaseError) in
            try connection.all("SELECT key FROM attempts", []) { ByteString(bytes: $0.blob(0)) }
        }
    }

    /// The files of which a content was being uploaded that no object is known to have.
    public func interruptedUploads() throws(TreeError) -> [NodeID] {
        try look { connection throws(DatabaseError) in
            try connection.all(
                """
                SELECT DISTINCT nodes.id FROM attempts JOIN nodes ON nodes.id = attempts.node
                WHERE nodes.links > 0 AND nodes.mode & ? = ? AND NOT EXISTS (
                SELECT 1 FROM objects WHERE objects.node = nodes.id AND objects.content = attempts.content)
                """, [.int(Int64(S_IFMT)), .int(Int64(S_IFREG))]
            ) { NodeID(stored: $0.int(0)) }
        }
    }

    /// Gives up the local version of a file that can't be completed any more: its name goes, and what the bucket has
    /// there may appear.
    /// - Returns: what the kernel has to hear about; nil, and nothing is changed, if the file has other names, or has
    ///   changed since `node` was read.
    public func forsake(_ id: NameID, _ node: Node, now: Timestamp) throws(TreeError) -> [TreeEvent]? {
        try change { change in
            guard let name = try change.connection.name(id), let present = try change.connection.node(name.node),
                present.id == node.id, present.links == 1, present.content == node.content,
                present.origin == node.origin
            else { return nil }
            try change.run("DELETE FROM objects WHERE owner = ?", [.int(id.raw)])
            let removed = try change.remove(name, present, now, forBucket: false)
            return (removed.isOrphan ? [.orphan(present.id)] : [])
                + [.entry(parent: name.parent, name: name.name)]
        }
    }
}
