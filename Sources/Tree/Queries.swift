import LocalDatabase
import Primitives

/// The rows that transactions are made of.
extension Connection {
    func all<Value>(
        _ sql: StaticString, _ values: [SQLValue], _ body: (Row) -> Value
    ) throws(DatabaseError) -> [Value] {
        var rows: [Value] = []
        try query(sql, values) { rows.append(body($0)) }
        return rows
    }

    func name(_ parent: NodeID, _ name: ByteString) throws(DatabaseError) -> Name? {
        try first(
            "SELECT id, parent, name, node, component FROM names WHERE parent = ? AND name = ?",
            [.int(Int64(parent.raw)), .blob(name.bytes)]
        ) { Name(row: $0) }
    }

    func name(_ id: NameID) throws(DatabaseError) -> Name? {
        try first("SELECT id, parent, name, node, component FROM names WHERE id = ?", [.int(id.raw)]) { Name(row: $0) }
    }

    func names(of node: NodeID) throws(DatabaseError) -> [Name] {
        try all("SELECT id, parent, name, node, component FROM names WHERE node = ?", [.int(Int64(node.raw))]) {
            Name(row: $0)
        }
    }

    func hasChildren(_ directory: NodeID) throws(DatabaseError) -> Bool {
        try first("SELECT 1 FROM names WHERE parent = ? LIMIT 1", [.int(Int64(directory.raw))]) { _ in true } ?? false
    }

    /// The directory that holds this directory; the root holds itself.
    func parent(of directory: NodeID) throws(DatabaseError) -> NodeID? {
        if directory == .root { return .root }
        return try name(ofDirectory: directory)?.parent
    }

    /// Under which prefix the tree wants this directory's children; nil if the directory has no name any more.
    func wantedPrefix(_ directory: NodeID) throws(DatabaseError) -> ByteString? {
        var parts: [ByteString] = []
        var place = directory
        while place != .root {
            guard let name = try name(ofDirectory: place) else { return nil }
            parts.append(name.component ?? name.name)
            place = name.parent
        }
        var prefix = ByteString()
        for part in parts.reversed() { prefix = prefix + part + "/" }
        return prefix
    }

    /// The directory whose move has to go on before anything is put into this one: the first on the way from the root
    /// that isn't at its place in the bucket. nil if all are.
    func moving(above directory: NodeID) throws(DatabaseError) -> NodeID? {
        var chain: [(node: NodeID, component: ByteString)] = []
        var place = directory
        while place != .root {
            guard let name = try name(ofDirectory: place) else { return nil }
            chain.append((place, name.component ?? name.name))
            place = name.parent
        }
        var prefix = ByteString()
        for (node, component) in chain.reversed() {
            prefix = prefix + component + "/"
            if try self.node(node)?.prefix != prefix { return node }
        }
        return nil
    }

    /// What keeps a directory from its place: one above that moves, or another whose children lie there still.
    func blocker(of directory: NodeID, at prefix: ByteString) throws(DatabaseError) -> NodeID? {
        if let parent = try parent(of: directory), let moving = try moving(above: parent) { return moving }
        return try first(
            "SELECT id FROM nodes WHERE prefix = ? AND id <> ? LIMIT 1",
            [.blob(prefix.bytes), .int(Int64(directory.raw))]
        ) { NodeID(stored: $0.int(0)) }
    }

    func wantedKey(_ name: Name, isDirectory: Bool) throws(DatabaseError) -> ByteString? {
        guard let prefix = try wantedPrefix(name.parent) else { return nil }
        let key = prefix + (name.component ?? name.name)
        return isDirectory ? key + "/" : key
    }

    func held(at key: ByteString) throws(DatabaseError) -> HeldObject? {
        try first(
            "SELECT * FROM objects WHERE key = ?",
            [.blob(key.bytes)]
        ) { HeldObject(row: $0) }
    }

    func held(by name: NameID) throws(DatabaseError) -> HeldObject? {
        try first(
            """
            SELECT * FROM objects WHERE owner = ?
            ORDER BY sequence DESC
            """, [.int(name.raw)]
        ) { HeldObject(row: $0) }
    }

    func attempt(at key: ByteString) throws(DatabaseError) -> Attempt? {
        try first(
            "SELECT * FROM attempts WHERE key = ?", [.blob(key.bytes)]
        ) { Attempt(row: $0) }
    }

    func attempt(by name: NameID) throws(DatabaseError) -> Attempt? {
        try first(
            "SELECT * FROM attempts WHERE name = ? LIMIT 1", [.int(name.raw)]
        ) { Attempt(row: $0) }
    }

    func sequence() throws(DatabaseError) -> Int64 {
        try first("SELECT value FROM facts WHERE name = 'sequence'", []) { Int64($0.text(0)) ?? 0 } ?? 0
    }
}

extension Change {
    func store(_ held: HeldObject) throws(DatabaseError) {
        try run(
            """
            INSERT OR REPLACE INTO objects(key, tag, size, modified, owner, node, content, attributes, sequence, revision)
            VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                .blob(held.key.bytes), .text(held.etag.value), .int(held.sizeBytes),
                held.modified.map { .int($0.nanoseconds) } ?? .null, held.owner.map { .int($0.raw) } ?? .null,
                .int(Int64(held.node.raw)), .int(held.content), .int(held.attributes), .int(try nextSequence()),
                held.revision.map { .text($0) } ?? .null,
            ])
    }

    /// Gives up the objects of a name: they are to be deleted.
    func disown(_ name: NameID, except key: ByteString? = nil) throws(DatabaseError) {
        while let held = try connection.all(
            "SELECT * FROM objects WHERE owner = ?",
            [.int(name.raw)], { HeldObject(row: $0) }
        ).first(where: { $0.key != key }) {
            var leftover = held
            leftover.owner = nil
            try store(leftover)
            isLeftOver(held.key)
        }
        for attempt in try connection.all(
            "SELECT * FROM attempts WHERE name = ?", [.int(name.raw)],
            { Attempt(row: $0) }
        ) where attempt.key != key {
            isLeftOver(attempt.key)
        }
    }

    func insertName(parent: NodeID, name: ByteString, node: NodeID, component: ByteString?, work: Bool)
        throws(DatabaseError) -> Name
    {
        try run(
            "INSERT INTO names(parent, name, node, component, work) VALUES(?, ?, ?, ?, ?)",
            [
                .int(Int64(parent.raw)), .blob(name.bytes), .int(Int64(node.raw)),
                component.map { .blob($0.bytes) } ?? .null, .int(work ? 1 : 0),
            ])
        let id = NameID(connection.lastInsertedRowID)
        changesNames(in: parent)
        if work { note(id) }
        return Name(id: id, parent: parent, name: name, node: node, component: component)
    }

    func removeName(_ name: Name) throws(DatabaseError) {
        try disown(name.id)
        try run("DELETE FROM names WHERE id = ?", [.int(name.id.raw)])
        changesNames(in: name.parent)
    }

    /// Sets the times that a change of its entries gives a directory. With `forBucket` the directory's object, if it
    /// has one, has to follow.
    func touch(directory: NodeID, _ now: Timestamp, forBucket: Bool) throws(DatabaseError) {
        try run(
            "UPDATE nodes SET modified = ?, changed = ? WHERE id = ?",
            [.int(now.nanoseconds), .int(now.nanoseconds), .int(Int64(directory.raw))])
        guard forBucket, directory != .root, let name = try connection.name(ofDirectory: directory),
            try connection.held(by: name.id) != nil
        else { return }
        try run(
            "UPDATE nodes SET attributes = attributes + 1 WHERE id = ? AND known = 1", [.int(Int64(directory.raw))])
        if connection.changes > 0 { try needsWork(name.id) }
    }
}
