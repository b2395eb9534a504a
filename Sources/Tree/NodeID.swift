/// A node's number: inode number and FUSE node id at once. Never reused within a tree.
public struct NodeID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let raw: UInt64
    public init(_ raw: UInt64) { self.raw = raw }

    /// As the database has it. A negative number, which only a damaged file holds, is 0: no node.
    init(stored: Int64) { raw = UInt64(max(0, stored)) }

    /// The mount's top directory; FUSE_ROOT_ID.
    public static let root = NodeID(1)

    public var description: String { "#\(raw)" }
    public static func < (left: NodeID, right: NodeID) -> Bool { left.raw < right.raw }
}
