import Glibc
import ObjectStore
import Primitives

/// A name's number; stays the same when the name is renamed. Never reused within a tree.
public struct NameID: Hashable, Sendable, CustomStringConvertible {
    public let raw: Int64
    public init(_ raw: Int64) { self.raw = raw }
    public var description: String { "name \(raw)" }
}

/// A file, directory or special file: what stat(2) shows, and where its content comes from.
public struct Node: Sendable, Equatable {
    public var id: NodeID
    /// Type and permission bits.
    public var mode: UInt32
    public var user: UInt32
    public var group: UInt32
    public var device: UInt64 = 0
    public var sizeBytes: Int64 = 0
    public var accessed: Timestamp
    public var modified: Timestamp
    public var changed: Timestamp
    /// A symbolic link's target, once it is known.
    public var target: ByteString?
    public var xattrs: [ByteString: [UInt8]] = [:]
    /// Names that lead here; for a directory 1.
    public var links: UInt32 = 1
    /// Names that the bucket speaks of and that were not met here so far.
    public var linksElsewhere: UInt32 = 0
    /// The same in all caches, for what has or had several names (see `LinkMark`).
    public var identity: String?
    /// Counts the local changes of the content; 0 is what the bucket had when the node was found.
    public var content: Int64 = 0
    /// Counts the local changes of the attributes.
    public var attributes: Int64 = 0
    /// The attributes are the object's own; false while only a listing is known.
    public var isKnown = true
    /// Size and times are behind what the cache file says (it is being written).
    public var isLive = false
    /// Where pages that the cache doesn't have come from; nil for what was made here.
    public var origin: ObjectSource?
    /// For a directory: the prefix under which the bucket has its children; nil while it has none there.
    public var prefix: ByteString?
    /// For a directory: when all of it was last listed; nil: never.
    public var listed: Timestamp?
    /// For a directory: how many directories it holds, as far as is known. Counted by the database.
    public internal(set) var subdirectories: UInt32 = 0

    public init(
        id: NodeID, mode: UInt32, user: UInt32, group: UInt32, accessed: Timestamp, modified: Timestamp,
        changed: Timestamp
    ) {
        self.id = id
        self.mode = mode
        self.user = user
        self.group = group
        self.accessed = accessed
        self.modified = modified
        self.changed = changed
    }

    /// How many names the file has, here or elsewhere.
    public var linkCount: UInt32 { links + linksElsewhere }
    public var type: UInt32 { mode & S_IFMT }
    public var isDirectory: Bool { type == S_IFDIR }
    public var isFile: Bool { type == S_IFREG }
    public var isSymlink: Bool { type == S_IFLNK }
}

/// A name in a directory, and the node that it leads to.
public struct Name: Sendable, Equatable {
    public var id: NameID
    public var parent: NodeID
    public var name: ByteString
    public var node: NodeID
    /// The part of the key that the name stands for, where it is not the name itself (see `KeyMapping`).
    public var component: ByteString?

    public init(id: NameID, parent: NodeID, name: ByteString, node: NodeID, component: ByteString? = nil) {
        self.id = id
        self.parent = parent
        self.name = name
        self.node = node
        self.component = component
    }
}

/// What the bucket holds at a key, as far as is known.
public struct HeldObject: Sendable, Equatable {
    public var key: ByteString
    public var etag: ETag
    public var sizeBytes: Int64
    /// The store's time of it; nil when not known.
    public var modified: Timestamp?
    /// The name whose object it is; nil: nobody's any more, to be deleted.
    public var owner: NameID?
    /// The node whose versions the next two are.
    public var node: NodeID
    public var content: Int64
    public var attributes: Int64
    /// Counts the changes of the ledger; later than a listing's start means the listing can't judge this key.
    public var sequence: Int64 = 0
    /// What its content is called in marks; nil while it was in none (see `contentID`).
    public var revision: String?

    public init(
        key: ByteString, etag: ETag, sizeBytes: Int64, modified: Timestamp? = nil, owner: NameID?, node: NodeID,
        content: Int64, attributes: Int64, revision: String? = nil
    ) {
        self.key = key
        self.etag = etag
        self.sizeBytes = sizeBytes
        self.modified = modified
        self.owner = owner
        self.node = node
        self.content = content
        self.attributes = attributes
        self.revision = revision
    }
}

/// A write that was begun and whose outcome is not yet known: kept before the request is sent, so that a restart
/// recognises its own work in the bucket.
public struct Attempt: Sendable, Equatable {
    public var key: ByteString
    /// The object's `pail` metadata: unique to this attempt.
    public var tag: String
    public var name: NameID
    public var node: NodeID
    public var content: Int64
    public var attributes: Int64
    /// What the content is called in marks.
    public var revision: String

    /// - Parameter revision: nil for content that no object has so far.
    public init(
        key: ByteString, tag: String, name: NameID, node: NodeID, content: Int64, attributes: Int64,
        revision: String? = nil
    ) {
        self.revision = revision ?? tag
        self.key = key
        self.tag = tag
        self.name = name
        self.node = node
        self.content = content
        self.attributes = attributes
    }
}
