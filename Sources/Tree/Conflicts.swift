import LocalDatabase
import ObjectStore
import Primitives

extension Tree {
    /// The bucket has a foreign object where a name's own should go. Nobody's work is overwritten: the name gets a
    /// node for the foreign object, and the local node a name of its own beside it. If the local change was one of
    /// attributes only, the foreign version just takes its place.
    /// - Returns: what the kernel has to hear about, and the name of the conflict copy if there is one.
    public func resolveConflict(
        _ id: NameID, _ info: ObjectInfo, copyName: (ByteString) -> ByteString, now: Timestamp
    ) throws(TreeError) -> (events: [TreeEvent], copy: ByteString?) {
        try change { change in
            guard let name = try change.connection.name(id), let node = try change.connection.node(name.node),
                let etag = info.etag
            else { return ([], nil) }
            let merge = Merge(change, self, name.parent, ByteString(), Int64.max, now)
            let held = try change.connection.held(by: id)
            if node.isDirectory {
                // Somebody made the same directory: its marker is ours to describe.
                try change.store(
                    HeldObject(
                        key: info.key, etag: etag, sizeBytes: info.sizeBytes, owner: id, node: node.id,
                        content: node.content, attributes: -1))
                try change.needsWork(id)
                return ([], nil)
            }
            if let held, held.key == info.key, held.node == node.id, held.content == node.content {
                try merge.replaceNode(of: name, node, info)
                return (merge.events, nil)
            }
            let copy = try change.freeName(name.parent, copyName(name.name), copyName)
            try change.run(
                "UPDATE names SET name = ?, component = NULL WHERE id = ?", [.blob(copy.bytes), .int(id.raw)])
            if let held, held.key == info.key {
                try change.run("DELETE FROM objects WHERE key = ?", [.blob(held.key.bytes)])
            }
            try merge.appear(info, shown: name.name, component: name.component)
            try change.needsWork(id)
            return (
                merge.events + [.entry(parent: name.parent, name: copy), .entry(parent: name.parent, name: name.name)],
                copy
            )
        }
    }

    /// The name whose object belongs at this key, if the tree has one by the plain reading of the key.
    public func nameWanting(_ key: ByteString) throws(TreeError) -> NameID? {
        try look { connection throws(DatabaseError) in
            var parts = key.split(separator: UInt8(ascii: "/"))
            let isDirectory = parts.last?.isEmpty == true
            if isDirectory { parts.removeLast() }
            var place = NodeID.root
            for (index, part) in parts.enumerated() {
                guard let name = try connection.name(place, part), let node = try connection.node(name.node)
                else { return nil }
                if index == parts.count - 1 { return node.isDirectory == isDirectory ? name.id : nil }
                guard node.isDirectory else { return nil }
                place = node.id
            }
            return nil
        }
    }
}

extension Change {
    /// The first of the names that `next` makes of each other that is not taken.
    func freeName(_ parent: NodeID, _ first: ByteString, _ next: (ByteString) -> ByteString) throws -> ByteString {
        var name = first
        while try connection.name(parent, name) != nil { name = next(name) }
        return name
    }
}

// MARK: directories whose children have to move

extension Tree {
    /// Marks the entries of a directory for the reconciler, those after `after`; at most `limit`.
    /// Returns the last one, nil if there were none.
    public func spread(_ directory: NodeID, after: NameID, limit: Int) throws(TreeError) -> NameID? {
        try change { change in
            let names = try change.connection.all(
                "SELECT id FROM names WHERE parent = ? AND id > ? ORDER BY id LIMIT ?",
                [.int(Int64(directory.raw)), .int(after.raw), .int(Int64(limit))]
            ) { NameID($0.int(0)) }
            for name in names { try change.needsWork(name) }
            return names.last
        }
    }

    /// After all that lies at the old place of a moved directory is known: from now on nothing more is looked for
    /// there. Its children keep the keys that they have until they follow.
    public func leave(_ directory: NodeID, _ prefix: ByteString) throws(TreeError) {
        try change { change in
            try change.run(
                "UPDATE nodes SET prefix = NULL, listed = NULL WHERE id = ? AND prefix = ?",
                [.int(Int64(directory.raw)), .blob(prefix.bytes)])
        }
    }

    /// Gives a directory without a place in the bucket the one that it wants: from now on its children are listed
    /// there. Returns false, and changes nothing, if it wants another than `prefix` by now, or while another
    /// directory's children still lie there.
    public func arrive(_ directory: NodeID, _ prefix: ByteString) throws(TreeError) -> Bool {
        try change { change in
            guard try change.connection.wantedPrefix(directory) == prefix,
                try change.connection.blocker(of: directory, at: prefix) == nil
            else { return false }
            try change.run(
                "UPDATE nodes SET prefix = ?, listed = NULL WHERE id = ? AND prefix IS NULL",
                [.blob(prefix.bytes), .int(Int64(directory.raw))])
            return change.connection.changes > 0
        }
    }
}
