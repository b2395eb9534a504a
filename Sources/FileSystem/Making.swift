import BlockCache
import Glibc
import Primitives
import Reconciling
import Tree

/// New names.
extension FileSystem {
    public func makeNode(
        _ parent: NodeID, _ name: ByteString, mode: UInt32, device: UInt64, _ caller: Caller
    ) throws(Failure) -> Entry {
        switch mode & S_IFMT {
        case S_IFREG, 0:
            try requireWritable()
            let directory = try requireAbsent(parent, name)
            return entry(try makeFile(in: directory, name, mode: mode | S_IFREG, isLive: false, caller).node)
        case S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK: break
        default: throw Failure(EINVAL)
        }
        return try make(parent, name, mode, caller) { $0.device = device }
    }

    public func makeDirectory(
        _ parent: NodeID, _ name: ByteString, mode: UInt32, _ caller: Caller
    ) throws(Failure) -> Entry {
        try make(parent, name, S_IFDIR | mode & 0o7777, caller) { _ in }
    }

    public func makeSymlink(
        _ parent: NodeID, _ name: ByteString, target: ByteString, _ caller: Caller
    ) throws(Failure) -> Entry {
        guard target.count < PATH_MAX else { throw Failure(ENAMETOOLONG) }
        return try make(parent, name, S_IFLNK | 0o777, caller) { node in
            node.target = target
            node.sizeBytes = Int64(target.count)
        }
    }

    public func create(
        _ parent: NodeID, _ name: ByteString, mode: UInt32, flags: Int32, _ caller: Caller
    ) throws(Failure) -> (Entry, Opened) {
        try requireWritable()
        let directory = try directory(parent)
        if let found = try find(directory, name) {
            if flags & O_EXCL != 0 { throw Failure(EEXIST) }
            // Somebody else made it since the kernel looked.
            let opened = try open(found.node.id, flags: flags, caller)
            return (entry(try knownNode(found.node.id)), opened)
        }
        try requireFitting(directory, name)
        let (node, content) = try makeFile(in: directory, name, mode: S_IFREG | mode & 0o7777, isLive: true, caller)
        return try opened(use(node, content), node, flags)
    }

    /// A file without a name, open (O_TMPFILE of open(2)): it ends with its last user unless `link` names it.
    public func createNameless(
        in parent: NodeID, mode: UInt32, flags: Int32, _ caller: Caller
    ) throws(Failure) -> (Entry, Opened) {
        try requireWritable()
        let directory = try directory(parent)
        guard directory.links > 0 else { throw Failure(ENOENT) }
        var template = try template(in: directory, S_IFREG | mode & 0o7777, caller)
        template.isLive = true
        let node = try local(tree.makeNameless(template))
        return try opened(use(node, try cached(contents.create(node.id.raw))), node, flags)
    }

    /// - Parameter isLive: it is about to be opened for writing, so the tree need not be told of its first change.
    private func makeFile(
        in directory: Node, _ name: ByteString, mode: UInt32, isLive: Bool, _ caller: Caller
    ) throws(Failure) -> (node: Node, content: CachedFile) {
        var template = try template(in: directory, mode, caller)
        template.isLive = isLive
        let node = try local(tree.make(directory.id, name, template, now: template.modified)).node
        do throws(Failure) {
            return (node, try cached(contents.create(node.id.raw)))
        } catch {
            takeBack(directory.id, name)
            throw error
        }
    }

    /// Removes a name again whose content could not be made (a full disk), so that a failed call leaves no empty file.
    private func takeBack(_ parent: NodeID, _ name: ByteString) {
        do throws(TreeError) {
            forgetIfUnused(try tree.unlink(parent, name, now: time.now()).node.id)
        } catch {
            log.error("files", "the name \(name) stays, without content: \(error)")
        }
    }

    private func make(
        _ parent: NodeID, _ name: ByteString, _ mode: UInt32, _ caller: Caller, _ complete: (inout Node) -> Void
    ) throws(Failure) -> Entry {
        try requireWritable()
        let directory = try requireAbsent(parent, name)
        var template = try template(in: directory, mode, caller)
        complete(&template)
        return entry(try local(tree.make(parent, name, template, now: template.modified)).node)
    }

    /// A new node as POSIX wants it: the caller's, but of the directory's group where that is set-group-id.
    private func template(in directory: Node, _ mode: UInt32, _ caller: Caller) throws(Failure) -> Node {
        guard directory.isKnown else { throw .need(.attributes(directory.id)) }
        let now = time.now()
        let inherits = directory.mode & S_ISGID != 0
        var node = Node(
            id: NodeID(0), mode: inherits && mode & S_IFMT == S_IFDIR ? mode | S_ISGID : mode, user: caller.user,
            group: inherits ? directory.group : caller.group, accessed: now, modified: now, changed: now)
        if !node.isSymlink { node.inheritPermissions(from: directory, caller) }
        return node
    }

    /// Checks that a name can be made in the directory, and gives the directory.
    @discardableResult
    func requireAbsent(_ parent: NodeID, _ name: ByteString) throws(Failure) -> Node {
        let directory = try directory(parent)
        try requireFitting(directory, name)
        if try find(directory, name) != nil { throw Failure(EEXIST) }
        return directory
    }

    /// Checks that the store can hold the name's key.
    func requireFitting(_ directory: Node, _ name: ByteString) throws(Failure) {
        try requireLength(name)
        guard directory.links > 0, let prefix = try local(tree.wantedPrefix(of: directory.id)) else {
            throw Failure(ENOENT)
        }
        if settings.requiresUTF8, name.text == nil { throw Failure(EILSEQ) }
        if prefix.count + name.count >= FileSystem.maximumPathBytes { throw Failure(ENAMETOOLONG) }
        // Pail's own objects lie there.
        if directory.id == .root, name == ".pail" { throw Failure(EPERM) }
    }

    public func link(
        _ node: NodeID, to parent: NodeID, _ name: ByteString, _ caller: Caller
    ) throws(Failure) -> Entry {
        try requireWritable()
        let target = try knownNode(node)
        if target.isDirectory { throw Failure(EPERM) }
        try requireAbsent(parent, name)
        let entry = entry(try local(tree.link(node, parent, name, now: time.now())).node)
        if let open = state.withLock({ $0.open[node] }) { contents.setNameless(open.file, false) }
        return entry
    }
}
