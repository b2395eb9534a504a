import ObjectStore
import Primitives

/// What the metadata of an object says of the file with several names that it belongs to, as `pail-link`:
/// `LINKS IDENTITY KEYHASH CONTENT`. Each name is an object of its own with all of the content; by these marks they
/// become one inode again wherever the bucket is mounted.
public struct LinkMark: Sendable, Equatable {
    static let metadataName = "pail-link"
    /// The content of what never changes: symbolic links, pipes, sockets, devices.
    public static let unchangeable = "0"

    /// How many names the file has, this one included.
    public var links: UInt32
    /// The file's id, the same wherever it is mounted.
    public var identity: String
    /// The content's id: objects of one file that say the same here hold the same bytes. An object that says another
    /// is behind, or was changed elsewhere at the same time; which can't be told, so it is not joined.
    public var content: String

    public init(links: UInt32, identity: String, content: String) {
        self.links = links
        self.identity = identity
        self.content = content
    }

    /// nil without a mark, or with that of another key: a tool that copies an object copies its metadata too, and a copy
    /// is a file of its own.
    public init?(_ info: ObjectInfo) {
        guard let text = info.metadata?[LinkMark.metadataName] else { return nil }
        let parts = text.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 4, let links = UInt32(parts[0]), (2...Tree.maximumLinks).contains(links),
            !parts[1].isEmpty, parts[2] == LinkMark.hash(info.key), !parts[3].isEmpty
        else { return nil }
        self.init(links: links, identity: String(parts[1]), content: String(parts[3]))
    }

    func text(at key: ByteString) -> String { "\(links) \(identity) \(LinkMark.hash(key)) \(content)" }

    /// FNV-1a, 64 bits, in hexadecimal.
    private static func hash(_ key: ByteString) -> String { String(key.fnv1a, radix: 16) }
}

extension HeldObject {
    /// What its mark says of its content; what was found without a mark is known by its version.
    public var contentID: String { revision ?? etag.value }
}
