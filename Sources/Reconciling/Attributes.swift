import ObjectStore
import Primitives
import Tree

/// Attributes of objects that so far only a listing told of.
extension Discovery {
    /// Directory entries after the one that was asked for whose attributes are asked for ahead of the caller.
    static let sweepLength = 512
    /// The longest symbolic link that is read (PATH_MAX).
    static let maximumTargetBytes: Int64 = 4_096

    /// Learns the node's attributes. Asks for those of its neighbours too: who stats one entry often stats all.
    public func attributes(_ node: NodeID) async throws(BucketError) {
        let names = try inTree(tree.names(of: node))
        guard let name = names.first else { return }
        sweep(name)
        try await attributes(node, name)
    }

    private func attributes(_ node: NodeID, _ name: Name) async throws(BucketError) {
        try await attributeFlights.join(node) {
            await self.attributeGate.enter()
            defer { self.attributeGate.leave() }
            return await catching { () async throws(BucketError) in try await self.ask(node, name) }
        }
    }

    private func ask(_ id: NodeID, _ name: Name) async throws(BucketError) {
        guard let node = try inTree(tree.node(id)), !node.isKnown else {
            return
        }
        let since = try inTree(tree.sequence())
        let now = time.now()
        let held = try inTree(tree.held(by: name.id))
        guard let key = held?.key ?? node.prefix else {
            return try inTree(tree.learnImplicit(id))
        }
        let info: ObjectInfo
        do throws(StoreError) {
            info = try await objects.head(key)
        } catch let error {
            guard error.kind == .notFound else { throw .store(error) }
            if node.isDirectory { return try inTree(tree.learnImplicit(id)) }
            if let held {
                tell(
                    try inTree(tree.vanished(name.id, etag: held.etag, since: since, now: now)))
            }
            return
        }
        if held == nil, let prefix = node.prefix {
            let page = ListPage(objects: [info])
            tell(
                try inTree(tree.merge(page, into: id, prefix: prefix, since: since, now: now)))
        }
        tell(try await learn(name.id, info, since: since, now: now))
        // Whatever else happened to the name meanwhile: this version's attributes can't be had any more.
        if try inTree(tree.node(id)?.isKnown) == false {
            try inTree(tree.learnImplicit(id))
        }
    }

    /// Takes over a HEAD's answer, and the target if the object stands for a symbolic link.
    func learn(
        _ name: NameID, _ info: ObjectInfo, since: Int64, now: Timestamp
    ) async throws(BucketError) -> [TreeEvent] {
        var target: ByteString?
        if info.isSymlink {
            let range = 0..<Discovery.maximumTargetBytes
            let body = try await inStore(await objects.read(info.key, range: range, ifMatch: info.etag))
            target = ByteString(bytes: body.bytes)
        }
        let content = target
        return try inTree(tree.learn(name, info, target: content, since: since, now: now))
    }

    /// Asks, in the background, for the unknown attributes of the entries that follow.
    private func sweep(_ name: Name) {
        let begins = memory.withLock { $0.sweeps.insert(name.parent).inserted }
        guard begins else { return }
        Task {
            defer { memory.withLock { _ = $0.sweeps.remove(name.parent) } }
            guard
                let found = try? tree.children(of: name.parent, after: name.id, limit: Discovery.sweepLength)
            else { return }
            await withTaskGroup(of: Void.self) { group in
                for entry in found where !entry.node.isKnown {
                    group.addTask {
                        // The caller who wants this one asks again and sees the error.
                        try? await self.attributes(entry.node.id, entry.name)
                    }
                }
            }
        }
    }
}

extension ObjectInfo {
    /// By its metadata (s3fs-fuse's form) a symbolic link, short enough to be one.
    fileprivate var isSymlink: Bool {
        guard let mode = metadata?["mode"].flatMap({ UInt32($0) }) else { return false }
        return mode & 0o170000 == 0o120000 && sizeBytes <= Discovery.maximumTargetBytes
    }
}
