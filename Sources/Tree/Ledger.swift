import LocalDatabase
import ObjectStore
import Primitives

/// What the reconciler sees of one name, in one consistent look.
public struct Situation: Sendable {
    public var name: Name
    public var node: Node
    /// Where the tree wants the object.
    public var wanted: ByteString
    /// The name's own object, wherever it is.
    public var held: HeldObject?
    /// What is at `wanted`, if it is not the name's own.
    public var occupant: HeldObject?
    /// A write whose outcome is not known: to `wanted`, or of this name to where it was wanted before.
    public var attempt: Attempt?
    /// Another name's object with the node's present content.
    public var twin: HeldObject?
    /// Another name of the file, of which it isn't known yet whether its object has the present content.
    public var sibling: NameID?
    /// A directory that has to be at its place, or away from this one's, before this name's object is.
    public var blocker: NameID?
    /// A name whose node has its missing pages from what is at `wanted`, which nobody owns and nothing else replaces.
    public var reader: NameID?
}

extension Tree {
    /// nil if the name is gone.
    public func situation(of id: NameID) throws(TreeError) -> Situation? {
        try look { connection throws(DatabaseError) in
            guard let name = try connection.name(id), let node = try connection.node(name.node),
                let wanted = try connection.wantedKey(name, isDirectory: node.isDirectory)
            else { return nil }
            let held = try connection.held(by: id)
            let atWanted = try connection.held(at: wanted)
            var twin: HeldObject?
            if node.links > 1 {
                twin = try connection.first(
                    """
                    SELECT * FROM objects
                    WHERE node = ? AND content = ? AND owner IS NOT NULL AND owner <> ?
                    """, [.int(Int64(node.id.raw)), .int(node.content), .int(id.raw)]
                ) { HeldObject(row: $0) }
            }
            let sibling = node.links > 1 && twin == nil ? try connection.writer(of: node, but: id) : nil
            var attempt = try connection.attempt(at: wanted)
            if attempt == nil { attempt = try connection.attempt(by: id) }
            let blocker =
                node.isDirectory
                ? try connection.blocker(of: node.id, at: wanted) : try connection.moving(above: name.parent)
            var reader: NameID?
            // A node's own old object may be written over: the new version takes what it needs from it.
            if let atWanted, atWanted.owner == nil, atWanted.node != node.id, try connection.needs(atWanted) {
                reader = try connection.names(of: atWanted.node).first?.id
            }
            return Situation(
                name: name, node: node, wanted: wanted, held: held,
                occupant: atWanted?.owner == id ? nil : atWanted, attempt: attempt, twin: twin, sibling: sibling,
                blocker: try blocker.flatMap { blocker throws(DatabaseError) in
                    try connection.names(of: blocker).first?.id
                }, reader: reader)
        }
    }

    public func held(at key: ByteString) throws(TreeError) -> HeldObject? {
        try look { connection throws(DatabaseError) in try connection.held(at: key) }
    }

    public func held(by name: NameID) throws(TreeError) -> HeldObject? {
        try look { connection throws(DatabaseError) in try connection.held(by: name) }
    }

    public func attempt(at key: ByteString) throws(TreeError) -> Attempt? {
        try look { connection throws(DatabaseError) in try connection.attempt(at: key) }
    }

    /// The names with work, those after `after`; at most `limit`.
    public func namesWithWork(after: NameID, limit: Int) throws(TreeError) -> [NameID] {
        try look { connection throws(DatabaseError) in
            try connection.all(
                "SELECT id FROM names WHERE work = 1 AND id > ? ORDER BY id LIMIT ?",
                [.int(after.raw), .int(Int64(limit))]
            ) { NameID($0.int(0)) }
        }
    }

    /// The keys that hold, or by an open attempt may hold, what nobody wants; some of them twice.
    public func leftovers(limit: Int) throws(TreeError) -> [ByteString] {
        try look { connection throws(DatabaseError) in
            try connection.all(
                """
                SELECT key FROM (SELECT key FROM objects WHERE owner IS NULL
                UNION ALL SELECT key FROM attempts WHERE name NOT IN (SELECT id FROM names)) LIMIT ?
                """, [.int(Int64(limit))]
            ) { ByteString(bytes: $0.blob(0)) }
        }
    }

    /// How much is not yet in the bucket.
    public func backlog() throws(TreeError) -> Backlog {
        try look { connection throws(DatabaseError) in
            let names = try connection.first("SELECT COUNT(*) FROM names WHERE work = 1", []) { $0.int(0) } ?? 0
            let objects =
                try connection.first("SELECT COUNT(*) FROM objects WHERE owner IS NULL", []) { $0.int(0) } ?? 0
            let attempts =
                try connection.first(
                    "SELECT COUNT(*) FROM attempts WHERE name NOT IN (SELECT id FROM names)", []
                ) { $0.int(0) } ?? 0
            let bytes =
                try connection.first(
                    """
                    SELECT SUM(size) FROM nodes JOIN names ON names.node = nodes.id
                    WHERE work = 1 AND nodes.content > 0
                    """, []
                ) { $0.int(0) } ?? 0
            return Backlog(names: names, leftovers: objects + attempts, bytes: bytes)
        }
    }

    /// Records a write before it is sent. Throws `.notFound` if the name is gone: nobody would look at what becomes
    /// of the write.
    public func begin(_ attempt: Attempt) throws(TreeError) {
        try change { change in
            guard try change.connection.name(attempt.name) != nil else { throw TreeError.notFound }
            try change.run(
                """
                INSERT OR REPLACE INTO attempts(key, tag, name, node, content, attributes, revision)
                VALUES(?, ?, ?, ?, ?, ?, ?)
                """,
                [
                    .blob(attempt.key.bytes), .text(attempt.tag), .int(attempt.name.raw),
                    .int(Int64(attempt.node.raw)), .int(attempt.content), .int(attempt.attributes),
                    .text(attempt.revision),
                ])
        }
    }

    /// Records that the write was not carried out and can't be any more.
    public func abandon(_ attempt: Attempt) throws(TreeError) {
        try change { change in try change.close(attempt) }
    }

    /// Records that the attempt's write is in the bucket. What the name held elsewhere becomes a leftover; if the
    /// name is gone or leads to another node by now, so does what was written.
    /// - Returns: false in that case: the node's content is not safe in the bucket.
    @discardableResult
    public func finish(_ attempt: Attempt, _ info: ObjectInfo) throws(TreeError) -> Bool {
        guard let etag = info.etag else { preconditionFailure("a finished write has a version") }
        return try change { change in
            try change.close(attempt)
            let name = try change.connection.name(attempt.name)
            let isWanted = name?.node == attempt.node
            try change.store(
                HeldObject(
                    key: attempt.key, etag: etag, sizeBytes: info.sizeBytes, owner: isWanted ? attempt.name : nil,
                    node: attempt.node, content: attempt.content, attributes: attempt.attributes,
                    revision: attempt.revision))
            // An older write of another name, recognised late, doesn't take the place of a newer one. Where the name is
            // gone the file's other names may have to take what is missing here from this object.
            if var node = try change.connection.node(attempt.node), node.isFile, node.links > 0,
                try change.connection.isNewest(attempt)
            {
                node.origin = ObjectSource(key: attempt.key, etag: etag, sizeBytes: info.sizeBytes)
                try node.update(in: change.connection)
            }
            guard isWanted else {
                change.isLeftOver(attempt.key)
                return false
            }
            try change.disown(attempt.name, except: attempt.key)
            try change.needsWork(attempt.name)
            return true
        }
    }

    /// Takes the name off the reconciler's list if nothing is left to do. Returns whether it was.
    public func close(_ id: NameID) throws(TreeError) -> Bool {
        try change { change in
            guard let name = try change.connection.name(id), let node = try change.connection.node(name.node),
                let wanted = try change.connection.wantedKey(name, isDirectory: node.isDirectory)
            else { return true }
            let held = try change.connection.held(by: id)
            guard let held, held.key == wanted, held.node == node.id, held.content == node.content,
                held.attributes == node.attributes, !node.isLive,
                !node.isDirectory || node.prefix == wanted,
                try change.connection.attempt(at: wanted) == nil, try change.connection.attempt(by: id) == nil,
                try change.connection.moving(above: name.parent) == nil
            else { return false }
            try change.run("UPDATE names SET work = 0 WHERE id = ?", [.int(id.raw)])
            return true
        }
    }

    /// Before a leftover is deleted: a node that takes its missing pages from it takes them from another of its names'
    /// objects from now on. Returns false if there is none yet, so that the leftover has to stay.
    public func isExpendable(_ leftover: HeldObject) throws(TreeError) -> Bool {
        try change { change in
            guard var node = try change.connection.node(leftover.node), node.links > 0,
                node.origin?.key == leftover.key, node.origin?.etag == leftover.etag
            else { return true }
            let other = try change.connection.first(
                """
                SELECT * FROM objects
                WHERE node = ? AND content = ? AND owner IS NOT NULL LIMIT 1
                """, [.int(Int64(node.id.raw)), .int(leftover.content)]
            ) { HeldObject(row: $0) }
            guard let other else { return false }
            node.origin = ObjectSource(key: other.key, etag: other.etag, sizeBytes: other.sizeBytes)
            try node.update(in: change.connection)
            return true
        }
    }

    /// Takes a directory that is at its place off the reconciler's list: its store can't hold an object for it.
    public func closeWithoutObject(_ id: NameID) throws(TreeError) {
        try change { change in
            try change.run("UPDATE names SET work = 0 WHERE id = ?", [.int(id.raw)])
        }
    }

    /// Records that the object is not in the bucket any more (deleted by us, or gone).
    public func release(_ key: ByteString, etag: ETag) throws(TreeError) {
        try change { change in
            try change.run(
                "DELETE FROM objects WHERE key = ? AND tag = ?", [.blob(key.bytes), .text(etag.value)])
            if change.connection.changes > 0 { self.noteRelease(key, try change.nextSequence()) }
        }
    }

    /// Records that the object at `key` is ours by its tag, with another version than was known (a write of ours that
    /// was carried out late).
    public func recognise(_ key: ByteString, etag: ETag, sizeBytes: Int64) throws(TreeError) {
        try change { change in
            let known = try change.connection.held(at: key)
            let attempt = try change.connection.attempt(at: key)
            if let attempt { try change.close(attempt) }
            // Which content it has is not known for sure, so it counts as none of the node's versions.
            try change.store(
                HeldObject(
                    key: key, etag: etag, sizeBytes: sizeBytes, owner: known?.owner,
                    node: known?.node ?? attempt?.node ?? NodeID(0), content: -1, attributes: -1))
            if let owner = known?.owner { try change.needsWork(owner) } else { change.isLeftOver(key) }
        }
    }
}

/// How much is waiting to get to the bucket.
public struct Backlog: Sendable, Equatable {
    public var names: Int64
    public var leftovers: Int64
    public var bytes: Int64

    public var isEmpty: Bool { names == 0 && leftovers == 0 }
}

extension Connection {
    /// A name of the node through which its present content is being written.
    fileprivate func writer(of node: Node, but name: NameID) throws(DatabaseError) -> NameID? {
        try first(
            """
            SELECT attempts.name FROM attempts JOIN names ON names.id = attempts.name AND names.node = attempts.node
            WHERE attempts.node = ? AND content = ? AND attempts.name <> ? LIMIT 1
            """, [.int(Int64(node.id.raw)), .int(node.content), .int(name.raw)]
        ) { NameID($0.int(0)) }
    }

    /// Whether a node with names has its missing pages from this object, and no name's object has the same content.
    fileprivate func needs(_ leftover: HeldObject) throws(DatabaseError) -> Bool {
        guard let node = try node(leftover.node), node.links > 0, node.origin?.key == leftover.key,
            node.origin?.etag == leftover.etag
        else { return false }
        return try first(
            "SELECT 1 FROM objects WHERE node = ? AND content = ? AND owner IS NOT NULL LIMIT 1",
            [.int(Int64(node.id.raw)), .int(leftover.content)]
        ) { _ in true } == nil
    }

    /// Whether no object is known with a later content of the attempt's node.
    fileprivate func isNewest(_ attempt: Attempt) throws(DatabaseError) -> Bool {
        try first(
            "SELECT 1 FROM objects WHERE node = ? AND content > ? LIMIT 1",
            [.int(Int64(attempt.node.raw)), .int(attempt.content)]
        ) { _ in true } == nil
    }
}

extension Change {
    func close(_ attempt: Attempt) throws(DatabaseError) {
        try run("DELETE FROM attempts WHERE key = ? AND tag = ?", [.blob(attempt.key.bytes), .text(attempt.tag)])
        if let held = try connection.held(at: attempt.key), held.owner == nil { isLeftOver(attempt.key) }
    }
}

extension ByteString {
    /// The first string after all that begin with this one, which ends in `/`.
    var afterAll: ByteString {
        precondition(bytes.last == UInt8(ascii: "/"), "only for prefixes of directories")
        var next = self
        next.bytes[next.count - 1] = UInt8(ascii: "0")
        return next
    }
}
