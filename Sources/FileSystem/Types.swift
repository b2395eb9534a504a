import ObjectStore
import Primitives
import Tree

/// Who asks: the caller's effective ids, as the kernel passes them.
public struct Caller: Sendable {
    public var user: UInt32
    public var group: UInt32
    public var process: Int32
    /// The caller's umask, for calls that create.
    public var umask: UInt32

    public init(user: UInt32, group: UInt32, process: Int32 = 0, umask: UInt32 = 0) {
        self.user = user
        self.group = group
        self.process = process
        self.umask = umask
    }

    /// The kernel says so with each write, but not for other changes of content: only root (as far as is known here: who
    /// has CAP_FSETID) leaves a file its set-id bits.
    var losesPrivileges: Bool { user != 0 }
}

/// An open file or directory; never reused.
public struct HandleID: Hashable, Sendable {
    public let raw: UInt64
    public init(_ raw: UInt64) { self.raw = raw }
}

/// What stat(2) shows.
public struct Attributes: Sendable, Equatable {
    public var node: NodeID
    /// Type and permission bits.
    public var mode: UInt32
    public var links: UInt32
    public var user: UInt32
    public var group: UInt32
    public var device: UInt64
    public var sizeBytes: Int64
    public var blocks512: Int64
    public var accessed: Timestamp
    public var modified: Timestamp
    public var changed: Timestamp
    /// They may change without this process knowing: the kernel must ask each time.
    public var isVolatile = false

    public init(
        node: NodeID, mode: UInt32, links: UInt32, user: UInt32, group: UInt32, device: UInt64, sizeBytes: Int64,
        blocks512: Int64, accessed: Timestamp, modified: Timestamp, changed: Timestamp
    ) {
        self.node = node
        self.mode = mode
        self.links = links
        self.user = user
        self.group = group
        self.device = device
        self.sizeBytes = sizeBytes
        self.blocks512 = blocks512
        self.accessed = accessed
        self.modified = modified
        self.changed = changed
    }
}

/// The answer to a lookup: the kernel may keep the name for `nameMilliseconds` and the attributes for
/// `attributeMilliseconds`.
public struct Entry: Sendable {
    public var attributes: Attributes
    public var nameMilliseconds: Int64
    public var attributeMilliseconds: Int64

    public init(attributes: Attributes, nameMilliseconds: Int64, attributeMilliseconds: Int64) {
        self.attributes = attributes
        self.nameMilliseconds = nameMilliseconds
        self.attributeMilliseconds = attributeMilliseconds
    }
}

/// What setattr is to change; nil leaves a value as it is.
public struct AttributeChange: Sendable {
    public enum Time: Sendable {
        case now
        case at(Timestamp)
    }

    public var mode: UInt32?
    public var user: UInt32?
    public var group: UInt32?
    public var sizeBytes: Int64?
    public var accessed: Time?
    public var modified: Time?
    /// FATTR_KILL_SUIDGID: the caller may not keep set-id bits over this change.
    public var killPrivileges = false

    public init() {}
}

/// An opened file.
public struct Opened: Sendable {
    public var handle: HandleID
    public var route: Route

    public init(handle: HandleID, route: Route) {
        self.handle = handle
        self.route = route
    }
}

/// An opened directory.
public struct OpenedDirectory: Sendable {
    public var handle: HandleID
    public var reading: DirectoryReading
}

/// One entry of a directory being read.
public struct DirectoryEntry: Sendable {
    public var name: ByteString
    public var node: NodeID
    /// File type bits of st_mode (S_IFMT).
    public var type: UInt32
    /// Where to go on after this entry; stable while names come and go.
    public var next: UInt64
    /// For readdirplus, when the attributes are known without asking the bucket.
    public var entry: Entry?

    public init(name: ByteString, node: NodeID, type: UInt32, next: UInt64, entry: Entry?) {
        self.name = name
        self.node = node
        self.type = type
        self.next = next
        self.entry = entry
    }
}

/// What statfs(2) shows.
public struct FileSystemStatistics: Sendable {
    public var blockSizeBytes: Int64
    public var blocks: Int64
    public var freeBlocks: Int64
    public var nodes: Int64
    public var freeNodes: Int64
    public var maximumNameBytes: Int64

    public init(
        blockSizeBytes: Int64, blocks: Int64, freeBlocks: Int64, nodes: Int64, freeNodes: Int64,
        maximumNameBytes: Int64
    ) {
        self.blockSizeBytes = blockSizeBytes
        self.blocks = blocks
        self.freeBlocks = freeBlocks
        self.nodes = nodes
        self.freeNodes = freeNodes
        self.maximumNameBytes = maximumNameBytes
    }
}

/// What the kernel has to forget because the bucket changed under it.
public enum Invalidation: Sendable {
    case entry(parent: NodeID, name: ByteString)
    case attributes(NodeID)
    case content(NodeID)
}
