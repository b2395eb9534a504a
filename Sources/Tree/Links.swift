import LocalDatabase
import ObjectStore
import Primitives

/// Several names of one file: objects of their own, joined into one node by their marks.
extension Tree {
    /// The most names that a file can have, as on ext4.
    public static let maximumLinks: UInt32 = 65_000
}

extension Change {
    /// After a name was made or removed here: the other names' objects state the new count, and the new ctime.
    /// - Parameter cacheID: given where the file may need an identity now.
    func restate(_ node: Node, cacheID: String? = nil) throws(DatabaseError) -> Node {
        // What is not known can't be written; without names there is nothing to write to.
        guard node.isKnown, !node.isDirectory, node.links > 0 else { return node }
        var node = node
        if let cacheID, node.identity == nil, node.linkCount > 1 { node.identity = "\(cacheID).\(node.id.raw)" }
        node.attributes += 1
        try node.update(in: connection)
        try needsWork(node: node.id)
        return node
    }

    /// An object's content as another of the file's objects has it, if the tree knows one.
    fileprivate func twin(of held: HeldObject, _ mark: LinkMark, of node: Node) throws -> (HeldObject, Node)? {
        let twin = try connection.first(
            """
            SELECT * FROM objects WHERE revision = ? AND size = ? AND node IN
            (SELECT id FROM nodes WHERE identity = ? AND links > 0 AND id <> ? AND mode & 61440 = ?) LIMIT 1
            """,
            [
                .text(mark.content), .int(held.sizeBytes), .text(mark.identity), .int(Int64(node.id.raw)),
                .int(Int64(node.type)),
            ]
        ) { HeldObject(row: $0) }
        return try twin.flatMap { twin in try connection.node(twin.node).map { (twin, $0) } }
    }
}

extension Merge {
    /// Takes over what the answer about a name's object says of the file's other names. `node` is `old` with the
    /// attributes of the answer. Returns false if the name leads elsewhere now.
    func link(_ name: Name, _ held: HeldObject, _ old: Node, _ node: Node, _ info: ObjectInfo) throws -> Bool {
        let mark = LinkMark(info)
        if old.links > 1, mark?.identity != old.identity {
            // Somebody made this object a file of its own.
            try replaceNode(of: name, old, info)
            return false
        }
        guard let mark else { return true }
        var marked = held
        marked.revision = mark.content
        marked.modified = info.lastModified
        try change.store(marked)
        guard node.links == 1, let (twin, other) = try change.twin(of: held, mark, of: node) else { return true }
        try join(name, marked, node, to: other, like: twin, mark)
        return false
    }

    /// The name leads to the file's node from now on; its own one goes.
    private func join(
        _ name: Name, _ held: HeldObject, _ own: Node, to other: Node, like twin: HeldObject, _ mark: LinkMark
    ) throws {
        var left = own
        left.links = 0
        try left.update(in: connection)
        var node = other
        let isChanged = other.attributes != twin.attributes || other.content != twin.content || other.isLive
        // Of several statements the latest counts.
        let isLater = !other.isKnown || own.changed > other.changed
        if !isChanged, isLater { node.takeAttributes(of: own) }
        node.links += 1
        let count = isLater && !isChanged ? mark.links : other.linkCount
        node.linksElsewhere = count > node.links ? count - node.links : 0
        try node.update(in: connection)
        try change.run("UPDATE names SET node = ? WHERE id = ?", [.int(Int64(node.id.raw)), .int(name.id.raw)])
        change.changesNames(in: name.parent)
        var joined = held
        joined.node = node.id
        joined.content = twin.content
        joined.attributes = twin.attributes
        try change.store(joined)
        if isChanged { try change.needsWork(name.id) }
        note([.orphan(left.id), .entry(parent: name.parent, name: name.name), .attributes(node.id)])
    }
}

extension Node {
    fileprivate mutating func takeAttributes(of other: Node) {
        mode = other.mode
        user = other.user
        group = other.group
        device = other.device
        accessed = other.accessed
        modified = other.modified
        changed = other.changed
        xattrs = other.xattrs
        isKnown = true
    }
}
