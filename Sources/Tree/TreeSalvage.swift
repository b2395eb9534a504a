import Glibc
import LocalDatabase
import Primitives

/// What a tree's file says of names and changes, read row by row without SQLite, whatever state the file is in. Changes
/// nothing and may be used while a daemon has the tree open; rows that are just then being written may be missing.
/// Not in the process that has it open (see `RowScan`).
public struct TreeSalvage: Sendable {
    /// What is told of a node.
    public struct Facts: Sendable {
        public var mode: UInt32
        public var user: UInt32
        public var group: UInt32
        public var modified: Timestamp
        public var links: Int64
        /// A symbolic link's target.
        public var target: ByteString?
        /// The object and version that missing pages come from.
        public var originKey: ByteString?
        public var originTag: String?
    }

    private struct Place {
        var parent: UInt64
        var name: ByteString
    }

    /// The deepest path that is followed: a damaged tree may hold a loop.
    private static let maximumDepth = 2_000

    /// Of the nodes that were asked for, and those whose names wait.
    public private(set) var facts: [UInt64: Facts] = [:]
    /// The nodes whose names have something that the bucket doesn't: content, attributes, or where they are.
    public private(set) var waiting: Set<UInt64> = []
    private var places: [UInt64: [Place]] = [:]

    /// - Parameter nodes: those that are of interest whether their names wait or not.
    public init(path: String, nodes: Set<UInt64> = []) {
        let replayed = ReplayedCopy(of: path)
        let path = replayed?.path ?? path
        defer { withExtendedLifetime(replayed) {} }
        RowScan.rows(of: path) { id, columns in
            guard id > 0, let name = NameRow(columns) else { return }
            if name.waits { waiting.insert(name.node) }
        }
        let wanted = nodes.union(waiting)
        var others: Set<UInt64> = []
        RowScan.rows(of: path) { id, columns in
            guard id > 0, let found = Facts(columns) else { return }
            if wanted.contains(UInt64(id)) { facts[UInt64(id)] = found }
            if found.mode & S_IFMT != S_IFDIR, !wanted.contains(UInt64(id)) { others.insert(UInt64(id)) }
        }
        // Directories by any sign: one whose own row is lost still has its name.
        RowScan.rows(of: path) { id, columns in
            guard id > 0, let name = NameRow(columns), !others.contains(name.node) else { return }
            places[name.node, default: []].append(Place(parent: name.parent, name: name.name))
        }
    }

    /// A path of the node below the top, its parts from there; nil if it isn't known whole.
    public func path(of node: UInt64) -> [ByteString]? {
        var parts: [ByteString] = []
        var current = node
        while current != NodeID.root.raw {
            guard let place = places[current]?.first, Self.isName(place.name), parts.count < Self.maximumDepth else {
                return nil
            }
            parts.append(place.name)
            current = place.parent
        }
        return parts.reversed()
    }

    /// What can be a name in a directory.
    private static func isName(_ name: ByteString) -> Bool {
        !name.isEmpty && name.count <= 255 && name != "." && name != ".."
            && !name.bytes.contains { $0 == 0 || $0 == 47 }
    }
}

/// A row of `names`.
private struct NameRow {
    var parent: UInt64
    var name: ByteString
    var node: UInt64
    var waits: Bool

    /// id, parent, name, node, component, work.
    init?(_ columns: [SQLValue]) {
        guard columns.count >= 6, columns[0] == .null, case .int(let parent) = columns[1],
            case .blob(let name) = columns[2], case .int(let node) = columns[3], case .int(let work) = columns[5],
            parent > 0, node > 0
        else { return nil }
        self.parent = UInt64(parent)
        self.name = ByteString(bytes: name)
        self.node = UInt64(node)
        waits = work != 0
    }
}

extension TreeSalvage.Facts {
    /// A row of `nodes`, in the order of `Schema`.
    fileprivate init?(_ columns: [SQLValue]) {
        guard columns.count >= 19, columns[0] == .null, case .int(let mode) = columns[1],
            case .int(let user) = columns[2], case .int(let group) = columns[3], case .int(let modified) = columns[7],
            case .int(let links) = columns[11], case .int = columns[12]
        else { return nil }
        self.mode = UInt32(truncatingIfNeeded: mode)
        self.user = UInt32(truncatingIfNeeded: user)
        self.group = UInt32(truncatingIfNeeded: group)
        self.modified = Timestamp(nanoseconds: modified)
        self.links = links
        if case .blob(let bytes) = columns[9] { target = ByteString(bytes: bytes) }
        if case .blob(let bytes) = columns[16] { originKey = ByteString(bytes: bytes) }
        if case .text(let tag) = columns[17] { originTag = tag }
    }
}
