import Glibc
import Primitives
import Tree

/// Extended attributes: `user.` ones and access control lists, kept in the object's metadata.
extension FileSystem {
    /// The most that names and values of one file may take together: S3 gives 2 KiB of metadata to all of it, and
    /// values are stored as base64, percent-encoded.
    static let maximumXattrBytes = 1_024

    public func getExtendedAttribute(_ id: NodeID, _ name: ByteString) throws(Failure) -> [UInt8] {
        try requireSupported(name)
        guard let value = try knownNode(id).xattrs[name] else { throw Failure(ENODATA) }
        return value
    }

    public func listExtendedAttributes(_ id: NodeID) throws(Failure) -> [ByteString] {
        try knownNode(id).xattrs.keys.sorted()
    }

    public func setExtendedAttribute(
        _ id: NodeID, name: ByteString, value: [UInt8], flags: Int32, _ caller: Caller
    ) throws(Failure) {
        let createOnly: Int32 = 1
        let replaceOnly: Int32 = 2
        try requireWritable()
        try requireSupported(name)
        if !name.hasPrefix("user.") { return try setAccessControl(id, name, value, caller) }
        let node = try knownNode(id)
        if !node.isFile, !node.isDirectory { throw Failure(EPERM) }
        let isThere = node.xattrs[name] != nil
        if flags == createOnly, isThere { throw Failure(EEXIST) }
        if flags == replaceOnly, !isThere { throw Failure(ENODATA) }
        try requireRoomForAttributes(node, name, value)
        let now = time.now()
        _ = try local(
            tree.update(id, forBucket: true) { node in
                node.xattrs[name] = value
                node.changed = now
            })
    }

    public func removeExtendedAttribute(_ id: NodeID, name: ByteString, _ caller: Caller) throws(Failure) {
        try requireWritable()
        try requireSupported(name)
        guard try knownNode(id).xattrs[name] != nil else { throw Failure(ENODATA) }
        let now = time.now()
        _ = try local(
            tree.update(id, forBucket: true) { node in
                node.xattrs[name] = nil
                node.changed = now
            })
    }

    func requireRoomForAttributes(_ node: Node, _ name: ByteString, _ value: [UInt8]) throws(Failure) {
        var all = node.xattrs
        all[name] = value
        let bytes = all.reduce(0) { $0 + $1.key.count + $1.value.count }
        if bytes > FileSystem.maximumXattrBytes { throw Failure(ENOSPC) }
    }

    private func requireSupported(_ name: ByteString) throws(Failure) {
        let isList = name == AccessControlList.accessName || name == AccessControlList.defaultName
        guard isList || name.hasPrefix("user.") else { throw Failure(EOPNOTSUPP) }
        if name.count > 255 { throw Failure(ERANGE) }
    }
}
