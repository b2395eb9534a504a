import LocalDatabase
import Primitives

/// A name with the node that it leads to.
public struct Found: Sendable, Equatable {
    public var name: Name
    public var node: Node
    /// The name has local changes that the bucket doesn't have yet.
    public var isPending: Bool
}

extension Tree {
    public func node(_ id: NodeID) throws(TreeError) -> Node? {
        try look { connection throws(DatabaseError) in try connection.node(id) }
    }

    public func name(_ id: NameID) throws(TreeError) -> Name? {
        try look { connection throws(DatabaseError) in try connection.name(id) }
    }

    public func names(of node: NodeID) throws(TreeError) -> [Name] {
        try look { connection throws(DatabaseError) in try connection.names(of: node) }
    }

    public func find(_ parent: NodeID, _ name: ByteString) throws(TreeError) -> Found? {
        try look { connection throws(DatabaseError) in
            try connection.first(
                """
                SELECT nodes.*, names.id, parent, name, node, component, work FROM names
                JOIN nodes ON nodes.id = names.node WHERE parent = ? AND name = ?
                """, [.int(Int64(parent.raw)), .blob(name.bytes)]
            ) { Found(row: $0) }
        }
    }

    /// The entries of a directory in the order of their name ids, those after `after`; at most `limit`.
    /// The order is stable while names come, go and are renamed, so an id can be where a reader goes on.
    public func children(of directory: NodeID, after: NameID, limit: Int) throws(TreeError) -> [Found] {
        try look { connection throws(DatabaseError) in
            try connection.all(
                """
                SELECT nodes.*, names.id, parent, name, node, component, work FROM names
                JOIN nodes ON nodes.id = names.node WHERE parent = ? AND names.id > ? ORDER BY names.id LIMIT ?
                """, [.int(Int64(directory.raw)), .int(after.raw), .int(Int64(limit))]
            ) { row in
                let found = Found(row: row)
                // Each is asked for again by itself: what it was when it was closed last.
                connection.keep(found.node)
                return found
            }
        }
    }

    public func parent(of directory: NodeID) throws(TreeError) -> NodeID? {
        try look { connection throws(DatabaseError) in try connection.parent(of: directory) }
    }

    /// The key under which the tree wants the name's object; nil if the name is gone.
    public func wantedKey(of name: NameID) throws(TreeError) -> ByteString? {
        try look { connection throws(DatabaseError) in
            guard let name = try connection.name(name), let node = try connection.node(name.node) else { return nil }
            return try connection.wantedKey(name, isDirectory: node.isDirectory)
        }
    }

    /// The prefix under which the tree wants the directory's children; nil if the directory is gone.
    public func wantedPrefix(of directory: NodeID) throws(TreeError) -> ByteString? {
        try look { connection throws(DatabaseError) in try connection.wantedPrefix(directory) }
    }

    /// The name's path below the mount point, for people.
    public func path(of name: NameID) throws(TreeError) -> ByteString? {
        try look { connection throws(DatabaseError) in
            guard let name = try connection.name(name) else { return nil }
            var path = name.name
            var place = name.parent
            while place != .root {
                guard let above = try connection.names(of: place).first else { return path }
                path = above.name + "/" + path
                place = above.parent
            }
            return path
        }
    }
}

extension Found {
    init(row: Row) {
        self.init(
            name: Name(row: row, from: Node.columnCount), node: Node(row: row),
            isPending: row.int(Node.columnCount + 5) != 0)
    }
}

/// A node that lost a name, and whether it lost its last.
public struct Removed: Sendable {
    public var node: Node
    public var isOrphan: Bool { node.links == 0 }
}

extension Tree {
    /// Makes a node and its name. `template`'s id is ignored; its times are given by the caller.
    /// Throws `.exists`, and `.notFound`/`.notADirectory` for the parent.
    public func make(_ parent: NodeID, _ name: ByteString, _ template: Node, now: Timestamp) throws(TreeError) -> Found
    {
        try change { change in
            try change.requireDirectory(parent)
            if try change.connection.name(parent, name) != nil { throw TreeError.exists }
            var node = template
            node.links = 1
            node.content = 1
            node.attributes = 1
            try node.insert(into: change.connection)
            let made = try change.insertName(parent: parent, name: name, node: node.id, component: nil, work: true)
            try change.touch(directory: parent, now, forBucket: true)
            return Found(name: made, node: node, isPending: true)
        }
    }

    /// Makes a node without a name (O_TMPFILE); it is an orphan until it is linked.
    public func makeNameless(_ template: Node) throws(TreeError) -> Node {
        try change { change in
            var node = template
            node.links = 0
            node.content = 1
            node.attributes = 1
            try node.insert(into: change.connection)
            return node
        }
    }

    /// Gives the node another name. Directories can't have two.
    public func link(_ node: NodeID, _ parent: NodeID, _ name: ByteString, now: Timestamp) throws(TreeError) -> Found {
        try change { change in
            try change.requireDirectory(parent)
            guard var target = try change.connection.node(node) else { throw TreeError.notFound }
            if target.isDirectory { throw TreeError.isADirectory }
            if try change.connection.name(parent, name) != nil { throw TreeError.exists }
            if target.linkCount >= Tree.maximumLinks { throw TreeError.tooManyLinks }
            target.links += 1
            target.changed = now
            try target.update(in: change.connection)
            let made = try change.insertName(parent: parent, name: name, node: node, component: nil, work: true)
            target = try change.restate(target, cacheID: cacheID)
            try change.touch(directory: parent, now, forBucket: true)
            return Found(name: made, node: target, isPending: true)
        }
    }

    /// Removes a name of something that is not a directory.
    public func unlink(_ parent: NodeID, _ name: ByteString, now: Timestamp) throws(TreeError) -> Removed {
        try change { change in
            guard let victim = try change.connection.name(parent, name) else { throw TreeError.notFound }
            guard let node = try change.connection.node(victim.node) else { throw TreeError.notFound }
            if node.isDirectory { throw TreeError.isADirectory }
            return try change.remove(victim, node, now, forBucket: true)
        }
    }

    /// Removes an empty directory. The caller has made sure that the bucket has nothing in it that the tree lacks.
    public func removeDirectory(_ parent: NodeID, _ name: ByteString, now: Timestamp) throws(TreeError) -> Removed {
        try change { change in
            guard let victim = try change.connection.name(parent, name) else { throw TreeError.notFound }
            guard let node = try change.connection.node(victim.node) else { throw TreeError.notFound }
            if !node.isDirectory { throw TreeError.notADirectory }
            if try change.connection.hasChildren(node.id) { throw TreeError.notEmpty }
            return try change.remove(victim, node, now, forBucket: true)
        }
    }

    /// Moves a name, in one step, over whatever `newName` was (unless `noReplace`: `.exists`).
    /// Returns what was replaced. Two names of one node: nothing happens (rename(2)).
    public func rename(
        _ parent: NodeID, _ name: ByteString, to newParent: NodeID, _ newName: ByteString, noReplace: Bool,
        now: Timestamp
    ) throws(TreeError) -> Removed? {
        try change { change in
            let (moved, node) = try change.source(parent, name)
            try change.requireDirectory(newParent)
            if node.isDirectory { try change.requireOutside(node.id, newParent) }
            var replaced: Removed?
            if let target = try change.connection.name(newParent, newName) {
                if noReplace { throw TreeError.exists }
                if target.node == moved.node { return nil }
                replaced = try change.replace(target, by: node, now)
            }
            try change.place(moved, newParent, newName)
            try change.finishMove(node, from: parent, to: newParent, now)
            return replaced
        }
    }

    /// RENAME_EXCHANGE: the two names change places.
    public func exchange(
        _ parent: NodeID, _ name: ByteString, with otherParent: NodeID, _ otherName: ByteString, now: Timestamp
    ) throws(TreeError) {
        try change { change in
            let (first, firstNode) = try change.source(parent, name)
            let (second, secondNode) = try change.source(otherParent, otherName)
            if first.id == second.id { return }
            if firstNode.isDirectory { try change.requireOutside(firstNode.id, otherParent) }
            if secondNode.isDirectory { try change.requireOutside(secondNode.id, parent) }
            try change.run("UPDATE names SET parent = 0 WHERE id = ?", [.int(first.id.raw)])
            try change.place(second, parent, name)
            try change.place(first, otherParent, otherName)
            try change.finishMove(firstNode, from: parent, to: otherParent, now)
            try change.finishMove(secondNode, from: otherParent, to: parent, now)
        }
    }

    /// Forgets nodes without names: those given that have none (any more). Returns the forgotten.
    public func forgetOrphans(_ nodes: [NodeID]) throws(TreeError) -> [NodeID] {
        try change { change in
            var forgotten: [NodeID] = []
            for node in nodes {
                try change.run("DELETE FROM nodes WHERE id = ? AND links = 0", [.int(Int64(node.raw))])
                guard change.connection.changes > 0 else { continue }
                try change.run("DELETE FROM superseded WHERE node = ?", [.int(Int64(node.raw))])
                forgotten.append(node)
            }
            return forgotten
        }
    }

    /// The nodes without names, for a start after a crash: by id, those after `after`, at most `limit`.
    public func orphans(after: NodeID = NodeID(0), limit: Int) throws(TreeError) -> [NodeID] {
        try look { connection throws(DatabaseError) in
            try connection.all(
                "SELECT id FROM nodes WHERE links = 0 AND id > ? ORDER BY id LIMIT ?",
                [.int(Int64(after.raw)), .int(Int64(limit))]
            ) { NodeID(stored: $0.int(0)) }
        }
    }
}

extension Change {
    func requireDirectory(_ id: NodeID) throws {
        guard let node = try connection.node(id), node.links > 0 else { throw TreeError.notFound }
        if !node.isDirectory { throw TreeError.notADirectory }
    }

    fileprivate func source(_ parent: NodeID, _ name: ByteString) throws -> (Name, Node) {
        guard let found = try connection.name(parent, name), let node = try connection.node(found.node) else {
            throw TreeError.notFound
        }
        return (found, node)
    }

    /// Throws `.loop` if `place` is the directory or lies below it.
    fileprivate func requireOutside(_ directory: NodeID, _ place: NodeID) throws {
        var above = place
        while true {
            if above == directory { throw TreeError.loop }
            if above == .root { return }
            guard let next = try connection.parent(of: above) else { return }
            above = next
        }
    }

    /// Removes a name. `forBucket`: somebody here did it, so the objects of what is left have to say so.
    func remove(_ victim: Name, _ node: Node, _ now: Timestamp, forBucket: Bool) throws -> Removed {
        var left = node
        left.links -= 1
        left.changed = now
        // What still lies in the bucket below it is leftovers; the place is free for another directory.
        left.prefix = nil
        try left.update(in: connection)
        try removeName(victim)
        if forBucket { left = try restate(left) }
        try touch(directory: victim.parent, now, forBucket: forBucket)
        return Removed(node: left)
    }

    fileprivate func replace(_ target: Name, by node: Node, _ now: Timestamp) throws -> Removed {
        guard let victim = try connection.node(target.node) else { throw TreeError.notFound }
        if victim.isDirectory {
            if !node.isDirectory { throw TreeError.isADirectory }
            if try connection.hasChildren(victim.id) { throw TreeError.notEmpty }
        } else if node.isDirectory {
            throw TreeError.notADirectory
        }
        return try remove(target, victim, now, forBucket: true)
    }

    fileprivate func place(_ name: Name, _ parent: NodeID, _ newName: ByteString) throws {
        try run(
            "UPDATE names SET parent = ?, name = ?, component = NULL WHERE id = ?",
            [.int(Int64(parent.raw)), .blob(newName.bytes), .int(name.id.raw)])
        changesNames(in: name.parent)
        changesNames(in: parent)
        try needsWork(name.id)
    }

    fileprivate func finishMove(_ node: Node, from: NodeID, to: NodeID, _ now: Timestamp) throws {
        try run("UPDATE nodes SET changed = ? WHERE id = ?", [.int(now.nanoseconds), .int(Int64(node.id.raw))])
        try touch(directory: from, now, forBucket: true)
        if from != to { try touch(directory: to, now, forBucket: true) }
    }
}

extension Tree {
    /// Whether the name has changes that the bucket doesn't have yet.
    public func isPending(_ name: NameID) throws(TreeError) -> Bool {
        try look { connection throws(DatabaseError) in try connection.isPending(name) }
    }
}
