import Glibc
import Primitives
import Tree

/// Attributes that change.
extension FileSystem {
    public func setAttributes(
        _ id: NodeID, _ change: AttributeChange, handle: HandleID?, _ caller: Caller
    ) throws(Failure) -> Attributes {
        try requireWritable()
        let node = try knownNode(id)
        if change.isEmpty { return attributes(of: try withoutPrivileges(node, caller)) }
        if let size = change.sizeBytes { try truncate(node, to: size, killPrivileges: change.killPrivileges) }
        if change.isMoreThanSize {
            let open = node.isFile ? useIfOpen(id) : nil
            defer { if let open { endUse(open) } }
            if let open { try settle(open) }
            let now = time.now()
            let changed = try local(tree.update(id, forBucket: true) { change.apply(to: &$0, now) })
            if let open, change.modified != nil { try restamp(open, changed.modified) }
        }
        return attributes(of: try self.node(id))
    }

    /// A setattr of nothing comes from chown(2) with no owner and no group, which for a file takes the set-id bits away
    /// all the same, and before a write by somebody who may not keep them. That takes them away by itself, unless it goes
    /// past this process.
    private func withoutPrivileges(_ node: Node, _ caller: Caller) throws(Failure) -> Node {
        let isUnseen = state.withLock { $0.open[node.id] }?.file.isUnseen ?? false
        let isEntitled = caller.user == 0 || caller.user == node.user || isUnseen
        guard !node.isDirectory, isEntitled, node.mode.withoutPrivileges != node.mode else { return node }
        let now = time.now()
        return try local(
            tree.update(node.id, forBucket: true) { node in
                node.mode = node.mode.withoutPrivileges
                node.changed = now
            })
    }

    private func truncate(_ node: Node, to size: Int64, killPrivileges: Bool) throws(Failure) {
        guard node.isFile else { throw Failure(node.isDirectory ? EISDIR : EINVAL) }
        guard size >= 0 else { throw Failure(EINVAL) }
        if size > FileSystem.maximumFileBytes { throw Failure(EFBIG) }
        let open = try use(node)
        defer { endUse(open) }
        if case .missing(let range) = try cached(open.file.truncate(to: size)) { throw .need(.pages(node.id, range)) }
        try noteChange(open, killPrivileges: killPrivileges)
    }
}

extension AttributeChange {
    fileprivate var isEmpty: Bool { sizeBytes == nil && !isMoreThanSize }

    fileprivate var isMoreThanSize: Bool {
        mode != nil || user != nil || group != nil || accessed != nil || modified != nil
    }

    fileprivate func apply(to node: inout Node, _ now: Timestamp) {
        if let mode { node.setPermissions(mode) }
        if user != nil || group != nil {
            if let user { node.user = user }
            if let group { node.group = group }
            // chown(2): set-id bits of an executable don't pass to another owner.
            if mode == nil, !node.isDirectory { node.mode = node.mode.withoutPrivileges }
        }
        if let accessed { node.accessed = accessed.point(now) }
        if let modified { node.modified = modified.point(now) }
        node.changed = now
    }
}

extension AttributeChange.Time {
    fileprivate func point(_ now: Timestamp) -> Timestamp {
        switch self {
        case .now: now
        case .at(let time): time
        }
    }
}

extension UInt32 {
    /// A mode without set-user-id, and without set-group-id where that means privilege and not mandatory locking.
    var withoutPrivileges: UInt32 {
        var mode = self & ~S_ISUID
        if mode & S_IXGRP != 0 { mode &= ~S_ISGID }
        return mode
    }
}
