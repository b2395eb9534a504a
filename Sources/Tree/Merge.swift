import Glibc
import LocalDatabase
import ObjectStore
import Primitives

/// One transaction's merging of a listing into a directory.
final class Merge {
    let change: Change
    let defaults: Tree.Defaults
    private let parent: NodeID
    private let prefix: ByteString
    private let sequence: Int64
    private let released: Releases
    private let now: Timestamp
    private(set) var events: [TreeEvent] = []

    var connection: Connection { change.connection }

    func note(_ news: [TreeEvent]) { events += news }

    init(
        _ change: Change, _ tree: Tree, _ parent: NodeID, _ prefix: ByteString, _ sequence: Int64, _ now: Timestamp
    ) {
        self.change = change
        defaults = tree.defaults
        released = tree.released(since: sequence)
        self.parent = parent
        self.prefix = prefix
        self.sequence = sequence
        self.now = now
    }

    func object(_ info: ObjectInfo) throws {
        guard info.key.hasPrefix(prefix), info.etag != nil else { return }
        if try connection.attempt(at: info.key) != nil { return }
        if let held = try connection.held(at: info.key) {
            if held.sequence > sequence { return }
            if held.etag == info.etag { return try confirmed(held, info) }
            if held.owner != nil { return try changed(held, info) }
            // Somebody wrote a new object where we were about to delete an old one.
            try change.run("DELETE FROM objects WHERE key = ?", [.blob(info.key.bytes)])
        }
        if released.contains(info.key) { return }
        if info.key == prefix { return try marker(info) }
        try appeared(info, component: info.key.dropFirst(prefix.count))
    }

    /// The version is the known one; a later time says that its metadata was rewritten.
    private func confirmed(_ held: HeldObject, _ info: ObjectInfo) throws {
        // HEAD tells whole seconds, some listings more.
        guard held.modified?.seconds != info.lastModified.seconds else { return }
        try change.run(
            "UPDATE objects SET modified = ? WHERE key = ?",
            [.int(info.lastModified.nanoseconds), .blob(held.key.bytes)])
        guard held.modified != nil, held.owner != nil, let node = try connection.node(held.node),
            node.isKnown, node.attributes == held.attributes
        else { return }
        try change.run("UPDATE nodes SET known = 0 WHERE id = ?", [.int(Int64(node.id.raw))])
        events.append(.attributes(node.id))
    }

    /// The bucket has another version: without local changes the name gets a new node, else the reconciler will see.
    func changed(_ held: HeldObject, _ info: ObjectInfo) throws {
        guard let owner = held.owner, let name = try connection.name(owner), let node = try connection.node(name.node)
        else { return }
        if node.isDirectory {
            guard node.attributes == held.attributes else { return }
            try own(info, name.id, node.id, attributes: node.attributes)
            try change.run("UPDATE nodes SET known = 0 WHERE id = ?", [.int(Int64(node.id.raw))])
            events.append(.attributes(node.id))
            return
        }
        guard node.id == held.node, node.content == held.content, node.attributes == held.attributes, !node.isLive
        else { return }
        try replaceNode(of: name, node, info)
    }

    /// The name leads to a new node: the object's present version. Open files keep the old one.
    func replaceNode(of name: Name, _ old: Node, _ info: ObjectInfo) throws {
        var left = old
        left.links -= 1
        try left.update(in: connection)
        if left.links == 0 {
            try change.noteSuperseded(left.id, name)
            events.append(.orphan(left.id))
        }
        let node = try newFile(info)
        try change.run(
            "UPDATE names SET node = ? WHERE id = ?", [.int(Int64(node.id.raw)), .int(name.id.raw)])
        change.changesNames(in: name.parent)
        try own(info, name.id, node.id)
        events.append(.entry(parent: name.parent, name: name.name))
    }

    private func newFile(_ info: ObjectInfo) throws -> Node {
        var node = Node(
            id: NodeID(0), mode: S_IFREG | defaults.fileMode, user: defaults.user, group: defaults.group,
            accessed: info.lastModified, modified: info.lastModified, changed: info.lastModified)
        node.sizeBytes = info.sizeBytes
        node.isKnown = false
        node.origin = info.etag.map { ObjectSource(key: info.key, etag: $0, sizeBytes: info.sizeBytes) }
        try node.insert(into: connection)
        return node
    }

    private func own(_ info: ObjectInfo, _ name: NameID, _ node: NodeID, attributes: Int64 = 0) throws {
        guard let etag = info.etag else { return }
        try change.store(
            HeldObject(
                key: info.key, etag: etag, sizeBytes: info.sizeBytes, modified: info.lastModified, owner: name,
                node: node, content: 0, attributes: attributes))
    }

    /// The listed directory's own object.
    private func marker(_ info: ObjectInfo) throws {
        guard let name = try connection.names(of: parent).first, let node = try connection.node(parent),
            try connection.held(by: name.id) == nil, node.content == 0, node.attributes == 0
        else { return }
        try own(info, name.id, parent)
        if try connection.held(by: name.id) != nil {
            try change.run("UPDATE nodes SET known = 0 WHERE id = ?", [.int(Int64(parent.raw))])
        }
    }

    private func appeared(_ info: ObjectInfo, component: ByteString) throws {
        var shown = KeyMapping.shownName(component)
        if let taken = try connection.name(parent, shown) {
            guard try connection.node(taken.node)?.isDirectory == true else { return }
            shown = shown + KeyMapping.fileBesideDirectory
            if try connection.name(parent, shown) != nil { return }
        }
        try appear(info, shown: shown, component: shown == component ? nil : component)
    }

    /// A name for an object that the tree doesn't have. The kernel doesn't keep that a name was missing, so it needn't
    /// hear of it; telling it would take the directory that a program works in from under it.
    func appear(_ info: ObjectInfo, shown: ByteString, component: ByteString?) throws {
        let node = try newFile(info)
        let name = try change.insertName(
            parent: parent, name: shown, node: node.id, component: component, work: false)
        try own(info, name.id, node.id)
    }

    func directory(_ childPrefix: ByteString) throws {
        let component = childPrefix.dropFirst(prefix.count).dropLast(1)
        let shown = KeyMapping.shownName(component)
        if let taken = try connection.name(parent, shown), let node = try connection.node(taken.node) {
            if node.isDirectory { return }
            if try isSpokenFor(childPrefix) { return }
            guard try setAside(taken) else { return }
        } else if try isSpokenFor(childPrefix) {
            return
        }
        var node = Node(
            id: NodeID(0), mode: S_IFDIR | defaults.directoryMode, user: defaults.user, group: defaults.group,
            accessed: now, modified: now, changed: now)
        node.prefix = childPrefix
        node.isKnown = false
        try node.insert(into: connection)
        _ = try change.insertName(
            parent: parent, name: shown, node: node.id, component: shown == component ? nil : component, work: false)
    }

    /// Whether what lies below the prefix belongs to names that are moving or being deleted, or were just now.
    private func isSpokenFor(_ childPrefix: ByteString) throws -> Bool {
        if released.contains(below: childPrefix) { return true }
        let bounds: [SQLValue] = [.blob(childPrefix.bytes), .blob(childPrefix.afterAll.bytes)]
        if try connection.first(
            "SELECT 1 FROM nodes WHERE prefix IS NOT NULL AND prefix >= ? AND prefix < ? LIMIT 1", bounds, { _ in true }
        )
            != nil
        {
            return true
        }
        if try connection.first("SELECT 1 FROM objects WHERE key >= ? AND key < ? LIMIT 1", bounds, { _ in true })
            != nil
        {
            return true
        }
        return try connection.first(
            "SELECT 1 FROM attempts WHERE key >= ? AND key < ? LIMIT 1", bounds, { _ in true }) != nil
    }

    /// A file makes way for a directory of the same name: it is shown with the escape behind its name.
    private func setAside(_ name: Name) throws -> Bool {
        let shown = name.name + KeyMapping.fileBesideDirectory
        if try connection.name(parent, shown) != nil { return false }
        try change.run(
            "UPDATE names SET name = ?, component = ? WHERE id = ?",
            [.blob(shown.bytes), .blob((name.component ?? name.name).bytes), .int(name.id.raw)])
        change.changesNames(in: parent)
        events.append(.entry(parent: parent, name: name.name))
        return true
    }

    // MARK: what is no longer in the bucket

    /// Looks at some names after `after`, and returns the last of them; nil: there are none.
    func removeUnseen(_ seen: Set<Int>, after: NameID) throws -> NameID? {
        let names = try connection.all(
            "SELECT id, parent, name, node, component FROM names WHERE parent = ? AND id > ? ORDER BY id LIMIT 1000",
            [.int(Int64(parent.raw)), .int(after.raw)]
        ) { Name(row: $0) }
        for name in names { try removeIfUnseen(name, seen) }
        return names.last?.id
    }

    private func removeIfUnseen(_ name: Name, _ seen: Set<Int>) throws {
        guard let node = try connection.node(name.node) else { return }
        if node.isDirectory {
            let place = prefix + (name.component ?? name.name) + "/"
            if node.prefix == place, !seen.contains(place.hashValue) { _ = try removeSubtree(name, node) }
        } else if let held = try connection.held(by: name.id), isListable(held.key), !seen.contains(held.key.hashValue)
        {
            if held.sequence <= sequence { try gone(name, held) }
        }
    }

    /// Whether the listing would have shown the key: it lies right in the listed prefix.
    private func isListable(_ key: ByteString) -> Bool {
        key.hasPrefix(prefix) && !key.dropFirst(prefix.count).bytes.contains(UInt8(ascii: "/"))
    }

    /// The object is gone: without local changes its name goes too, else the content will be uploaded anew.
    func gone(_ name: Name, _ held: HeldObject) throws {
        guard try connection.attempt(at: held.key) == nil, let node = try connection.node(name.node) else { return }
        try change.run("DELETE FROM objects WHERE key = ?", [.blob(held.key.bytes)])
        if node.isDirectory || node.content != held.content || node.attributes != held.attributes || node.isLive
            || node.id != held.node
        {
            return try change.needsWork(name.id)
        }
        try drop(name, node)
    }

    private func drop(_ name: Name, _ node: Node) throws {
        let removed = try change.remove(name, node, now, forBucket: false)
        if removed.isOrphan {
            try change.noteSuperseded(node.id, name)
            events.append(.orphan(node.id))
        }
        events.append(.entry(parent: name.parent, name: name.name))
    }

    /// Removes a directory that the bucket doesn't have any more, unless something in it has local changes.
    private func removeSubtree(_ name: Name, _ node: Node) throws -> Bool {
        if let own = try connection.held(by: name.id), own.sequence > sequence { return false }
        if try connection.isPending(name.id) { return false }
        for child in try connection.all(
            "SELECT id, parent, name, node, component FROM names WHERE parent = ?", [.int(Int64(node.id.raw))],
            { Name(row: $0) })
        {
            guard let below = try connection.node(child.node) else { continue }
            if below.isDirectory {
                _ = try removeSubtree(child, below)
            } else if let held = try connection.held(by: child.id), held.sequence <= sequence {
                try gone(child, held)
            }
        }
        if try connection.hasChildren(node.id) { return false }
        if let own = try connection.held(by: name.id) {
            try change.run("DELETE FROM objects WHERE key = ?", [.blob(own.key.bytes)])
        }
        try drop(name, node)
        return true
    }
}

extension Connection {
    func isPending(_ name: NameID) throws(DatabaseError) -> Bool {
        try first("SELECT work FROM names WHERE id = ?", [.int(name.raw)]) { $0.int(0) != 0 } ?? false
    }
}
