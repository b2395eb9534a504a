import LocalDatabase
import ObjectStore
import Primitives

/// Files that lost their name because the bucket changed, and may still be open: a write to one of them is a local
/// change over a remote one, found out late.
extension Change {
    /// Remembers where the node's last name was.
    func noteSuperseded(_ node: NodeID, _ name: Name) throws(DatabaseError) {
        try run(
            "INSERT OR REPLACE INTO superseded(node, parent, name, component) VALUES(?, ?, ?, ?)",
            [
                .int(Int64(node.raw)), .int(Int64(name.parent.raw)), .blob(name.name.bytes),
                name.component.map { .blob($0.bytes) } ?? .null,
            ])
    }

    /// Gives a node that is being written its name back, as if the change of the bucket hadn't been seen: the upload
    /// comes upon it, and keeps both. Where the name has other local changes by now it gets a name beside it.
    func revive(_ id: NodeID) throws(DatabaseError) {
        guard var node = try connection.node(id), node.links == 0,
            let place = try connection.first(
                "SELECT 0, parent, name, node, component FROM superseded WHERE node = ?", [.int(Int64(id.raw))],
                { Name(row: $0) }),
            let parent = try connection.node(place.parent), parent.links > 0
        else { return }
        if let taken = try connection.name(place.parent, place.name) {
            if try !takeBack(taken, node) {
                var name = place.name + ".conflict"
                while try connection.name(place.parent, name) != nil { name = name + "~" }
                _ = try insertName(parent: place.parent, name: name, node: id, component: nil, work: true)
            }
        } else {
            _ = try insertName(
                parent: place.parent, name: place.name, node: id, component: place.component, work: true)
        }
        node.links = 1
        try node.update(in: connection)
        try run("DELETE FROM superseded WHERE node = ?", [.int(Int64(id.raw))])
    }

    /// The name leads to the old node again, if the one that took its place was not changed here.
    private func takeBack(_ name: Name, _ node: Node) throws(DatabaseError) -> Bool {
        guard var other = try connection.node(name.node), other.isFile, let held = try connection.held(by: name.id),
            held.node == other.id, held.content == other.content, held.attributes == other.attributes,
            !other.isLive, let origin = node.origin
        else { return false }
        other.links -= 1
        try other.update(in: connection)
        try run("UPDATE names SET node = ? WHERE id = ?", [.int(Int64(node.id.raw)), .int(name.id.raw)])
        changesNames(in: name.parent)
        // The old version, so that the present one is found to be another.
        try store(
            HeldObject(
                key: held.key, etag: origin.etag, sizeBytes: origin.sizeBytes, owner: name.id, node: node.id,
                content: -1, attributes: -1))
        try needsWork(name.id)
        return true
    }
}
