import Glibc
import Primitives
import Reconciling
import Tree

/// Names and attributes.
extension FileSystem {
    /// Gives what a name leads to, and counts a reference to it (see `forget`).
    public func lookup(_ parent: NodeID, _ name: ByteString) throws(Failure) -> Entry {
        try requireLength(name)
        guard let found = try find(directory(parent), name) else { throw Failure(ENOENT) }
        guard found.node.isKnown else { throw .need(.attributes(found.node.id)) }
        return entry(found.node)
    }

    /// What the tree says of a name, once it is as new as it has to be.
    func find(_ directory: Node, _ name: ByteString) throws(Failure) -> Found? {
        let found = try local(tree.find(directory.id, name))
        if let found { try requireSettled(found.node.id) }
        if let found, found.isPending { return found }
        guard discovery.isFresh(directory, name) else { throw .need(.name(directory.id, name)) }
        return found
    }

    func requireLength(_ name: ByteString) throws(Failure) {
        if name.count > KeyMapping.maximumNameBytes { throw Failure(ENAMETOOLONG) }
    }

    /// The answer about a node; counts a reference.
    func entry(_ node: Node) -> Entry {
        countLookup(node.id)
        return entry(showing: attributes(of: node))
    }

    func entry(showing attributes: Attributes) -> Entry {
        Entry(
            attributes: attributes, nameMilliseconds: settings.nameMilliseconds,
            attributeMilliseconds: attributes.isVolatile ? 0 : settings.attributeMilliseconds)
    }

    public func attributes(_ id: NodeID, handle: HandleID?) throws(Failure) -> Attributes {
        attributes(of: try knownNode(id))
    }

    /// What stat shows; for a file that is open, as it is now.
    func attributes(of node: Node) -> Attributes {
        guard node.isFile else { return Attributes(node) }
        guard let open = useIfOpen(node.id) else {
            var attributes = Attributes(asRecorded(node))
            if let bytes = contents.allocatedBytes(ofWhole: node.id.raw) {
                // Never none where there is content: who archives files takes that for a hole.
                attributes.blocks512 = max(bytes / 512, min(attributes.sizeBytes, 1))
            }
            return attributes
        }
        defer { endUse(open) }
        let written = open.state.withLock { $0.modified }
        var attributes = Attributes(written == nil ? asRecorded(node) : node)
        if let accessed = noteUnseenAccess(open) { attributes.accessed = accessed }
        show(open, written, &attributes)
        return attributes
    }

    /// The node as it is now: what was read and written through a handle that went meanwhile has come to the tree since.
    private func asRecorded(_ node: Node) -> Node { ((try? tree.node(node.id)) ?? nil) ?? node }

    private func show(_ open: OpenNode, _ written: Timestamp?, _ attributes: inout Attributes) {
        guard let present = open.file.present else { return }
        attributes.sizeBytes = present.stamp.sizeBytes
        attributes.blocks512 =
            open.file.isWhole ? present.allocatedBytes / 512 : (attributes.sizeBytes + 511) / 512
        attributes.isVolatile = open.file.isUnseen
        let modified = attributes.isVolatile ? present.stamp.modified : written
        guard let modified, modified != attributes.modified else { return }
        attributes.modified = modified
        attributes.changed = max(attributes.changed, modified)
    }

    public func readLink(_ id: NodeID) throws(Failure) -> ByteString {
        let node = try knownNode(id)
        guard node.isSymlink, let target = node.target else { throw Failure(EINVAL) }
        noteAccess(node)
        return target
    }

    public func statistics() throws(Failure) -> FileSystemStatistics {
        // A bucket has no end; programs that check for free space before they write shall not be stopped by it.
        let blocks: Int64 = 1 << 38
        return FileSystemStatistics(
            blockSizeBytes: 4_096, blocks: blocks, freeBlocks: blocks, nodes: 1 << 40, freeNodes: 1 << 40,
            maximumNameBytes: Int64(KeyMapping.maximumNameBytes))
    }
}

extension Attributes {
    /// What the tree says.
    fileprivate init(_ node: Node) {
        self.init(
            node: node.id, mode: node.mode, links: node.shownLinks, user: node.user,
            group: node.group, device: node.device, sizeBytes: node.isDirectory ? 4_096 : node.sizeBytes,
            blocks512: (node.sizeBytes + 511) / 512, accessed: node.accessed, modified: node.modified,
            changed: node.changed)
    }
}

extension Node {
    /// What stat shows: a directory has its own name, its `.`, and the `..` of each directory in it.
    fileprivate var shownLinks: UInt32 { isDirectory && links > 0 ? 2 + subdirectories : linkCount }
}
