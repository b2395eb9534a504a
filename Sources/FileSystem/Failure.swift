import Primitives
import Tree

/// Something that has to come from the network, or from waiting, before an operation can go on: hand it to
/// `FileSystem.satisfy` and call the operation again.
public enum Need: Sendable {
    /// Whether the bucket has this name, and what.
    case name(NodeID, ByteString)
    /// A node's own attributes.
    case attributes(NodeID)
    /// A directory's entries.
    case listing(NodeID)
    /// A part of a file's content.
    case pages(NodeID, ByteRange)
    /// What the bucket has of a large file, so that what changes in it can be found.
    case digests(NodeID)
    /// Room in the cache for so many more bytes.
    case room(Int64)
    /// The node's present state in the bucket.
    case upload(NodeID)
    /// What became of the upload that a power loss interrupted: what the file holds depends on it.
    case outcome(NodeID)
}

/// Why an operation did not give a result.
public enum Failure: Error, Sendable {
    case errno(Errno)
    case need(Need)

    init(_ code: Int32) { self = .errno(Errno(code)) }
}
