import Glibc
import LocalDatabase
import Primitives

/// Nodes, and the names of directories, as they are in the database: each request asks for the same few again and again, and
/// each key needs all directories above it. A row that changes goes. Used with the database locked only.
final class RowCache: RowObserver, @unchecked Sendable {
    /// So many of each are kept; then it begins anew. Some 2 MiB.
    private static let capacity = 4_096

    private var nodes: [Int64: Node] = [:]
    private var directories: [NodeID: Name] = [:]
    /// Whose name it is, of `directories`.
    private var owners: [Int64: NodeID] = [:]

    func changed(table: UnsafePointer<CChar>, row: Int64) {
        if strcmp(table, "nodes") == 0 {
            nodes[row] = nil
        } else if strcmp(table, "names") == 0, let owner = owners.removeValue(forKey: row) {
            directories[owner] = nil
        }
    }

    func undone() {
        nodes = [:]
        directories = [:]
        owners = [:]
    }

    subscript(node id: NodeID) -> Node? { nodes[Int64(id.raw)] }

    func keep(_ node: Node) {
        if nodes.count >= Self.capacity { nodes.removeAll(keepingCapacity: true) }
        nodes[Int64(node.id.raw)] = node
    }

    subscript(nameOf directory: NodeID) -> Name? { directories[directory] }

    func keep(_ name: Name, of directory: NodeID) {
        if directories.count >= Self.capacity {
            directories.removeAll(keepingCapacity: true)
            owners.removeAll(keepingCapacity: true)
        }
        directories[directory] = name
        owners[name.id.raw] = directory
    }
}

extension Connection {
    private var rows: RowCache? { observer as? RowCache }

    func node(_ id: NodeID) throws(DatabaseError) -> Node? {
        if let kept = rows?[node: id] { return kept }
        let node = try first("SELECT * FROM nodes WHERE id = ?", [.int(Int64(id.raw))]) { Node(row: $0) }
        if let node { keep(node) }
        return node
    }

    /// Has what was just read of the node answered from memory.
    func keep(_ node: Node) { rows?.keep(node) }

    /// The one name that a directory has; nil if it is gone. Not for the root.
    func name(ofDirectory id: NodeID) throws(DatabaseError) -> Name? {
        if let kept = rows?[nameOf: id] { return kept }
        let name = try names(of: id).first
        if let name { rows?.keep(name, of: id) }
        return name
    }
}
