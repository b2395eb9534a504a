import Glibc
import Primitives
import Tree

/// POSIX access control lists: kept as extended attributes, in step with the mode.
extension FileSystem {
    /// setxattr(2) of a list, which the kernel lets only the owner and root do.
    func setAccessControl(
        _ id: NodeID, _ name: ByteString, _ value: [UInt8], _ caller: Caller
    ) throws(Failure) {
        let node = try knownNode(id)
        guard let list = AccessControlList(value) else { throw Failure(EINVAL) }
        if name == AccessControlList.defaultName, !node.isDirectory { throw Failure(EACCES) }
        try requireRoomForAttributes(node, name, value)
        let now = time.now()
        _ = try local(
            tree.update(id, forBucket: true) { node in
                if name == AccessControlList.accessName {
                    node.mode = node.mode & ~0o777 | list.mode
                    // As chmod(2): who isn't in the group can't have files with its identity.
                    if caller.user != 0, caller.group != node.group { node.mode &= ~S_ISGID }
                }
                let isSaidByMode = name == AccessControlList.accessName && list.isMinimal
                node.xattrs[name] = isSaidByMode ? nil : value
                node.changed = now
            })
    }
}

extension Node {
    /// chmod(2): the list, if there is one, follows.
    mutating func setPermissions(_ permissions: UInt32) {
        mode = mode & S_IFMT | permissions & 0o7777
        guard var list = xattrs[AccessControlList.accessName].flatMap({ AccessControlList($0) }) else { return }
        list.mode = permissions
        xattrs[AccessControlList.accessName] = list.bytes
    }

    /// A new node's permissions: what was asked for, less what the directory's default list doesn't give, or, where
    /// there is none, less the umask.
    mutating func inheritPermissions(from directory: Node, _ caller: Caller) {
        guard let bytes = directory.xattrs[AccessControlList.defaultName], let list = AccessControlList(bytes) else {
            mode &= ~(caller.umask & 0o777)
            return
        }
        let own = list.inherited(mode)
        mode = mode & ~0o777 | own.mode
        if !own.isMinimal { xattrs[AccessControlList.accessName] = own.bytes }
        if isDirectory { xattrs[AccessControlList.defaultName] = bytes }
    }
}
