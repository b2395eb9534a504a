import BlockCache
import ObjectStore
import Primitives
import Tree

/// Uploads that a crash interrupted, and files that wait for what became of theirs.
extension Reconciler {
    /// How long to wait between looks at an upload that may still be under way.
    static let settlePollMilliseconds: Int64 = 100
    /// From so many on, keys whose time is over are looked for and forgotten.
    private static let manyUndecided = 1_000

    /// Whether what the file holds is not known yet: see `Recovered.unsettled`.
    public func isUnsettled(_ node: NodeID) -> Bool { unsettled.withLock { $0.contains(node) } }

    /// Returns when what the file holds is known: the content of the interrupted upload if it was carried out, else
    /// what it had before. Waits out the time in which the store may still be carrying it out.
    public func settle(_ node: NodeID) async throws(BucketError) {
        while isUnsettled(node), !Task.isCancelled {
            for attempt in try inTree(tree.attempts(of: node)) where try await !adoptIfWritten(attempt) {
                if time.monotonic() >= settled { try await conclude(attempt) }
            }
            try noteSettled(node)
            if isUnsettled(node) { await time.sleep(milliseconds: Reconciler.settlePollMilliseconds) }
        }
    }

    /// The store had its time: what isn't there by now won't come.
    private func conclude(_ attempt: Attempt) async throws(BucketError) {
        try await whileUnderWay(attempt) { () async throws(BucketError) in
            if let situation = try inTree(tree.situation(of: attempt.name)) {
                try await verify(attempt, situation)
            } else {
                try await verifyLeftover(attempt.key)
            }
        }
    }

    /// Looks for the file's present version among its own uploads whose outcome was not recorded: it is what a version
    /// that is gone was replaced by. Returns whether one was found.
    public func adoptWritten(_ node: NodeID) async throws(BucketError) -> Bool {
        for attempt in try inTree(tree.attempts(of: node)) where try await adoptIfWritten(attempt) { return true }
        return false
    }

    private func adoptIfWritten(_ attempt: Attempt) async throws(BucketError) -> Bool {
        guard let (info, etag) = await written(by: attempt) else { return false }
        try await whileUnderWay(attempt) { () throws(BucketError) in try adopt(attempt, info, etag) }
        return true
    }

    /// What the attempt has written, if it is there.
    private func written(by attempt: Attempt) async -> (ObjectInfo, ETag)? {
        guard case .success(let info) = await outcome(try await objects.head(attempt.key)), let etag = info.etag,
            info.metadata?["pail"] == attempt.tag
        else { return nil }
        return (info, etag)
    }

    /// Runs `body` with the attempt's key for itself, unless the attempt ends before.
    private func whileUnderWay(
        _ attempt: Attempt, _ body: () async throws(BucketError) -> Void
    ) async throws(BucketError) {
        while try inTree(tree.attempt(at: attempt.key)) == attempt, !Task.isCancelled {
            let isDone = try await alone(with: [attempt.key, nodeKey(attempt.node)]) { () async throws(BucketError) in
                guard try inTree(tree.attempt(at: attempt.key)) == attempt else { return }
                try await body()
            }
            if isDone { return }
            await time.sleep(milliseconds: Reconciler.waitMilliseconds)
        }
    }

    /// Takes the file off the list once none of its uploads is open. One that nothing is known of is empty.
    func noteSettled(_ id: NodeID) throws(BucketError) {
        guard isUnsettled(id), try inTree(tree.attempts(of: id)).isEmpty else { return }
        if let node = try inTree(tree.node(id)), node.origin == nil, contents.existing(id.raw) == nil {
            try Recovery.makeEmpty(node, tree, contents)
        }
        unsettled.withLock { _ = $0.remove(id) }
    }

    /// Remembers that a request to the key may yet be carried out.
    func noteUndecided(_ key: ByteString) {
        let now = time.monotonic()
        state.withLock { state in
            if state.undecided.count >= Reconciler.manyUndecided {
                state.undecided = state.undecided.filter { $0.value > now }
            }
            state.undecided[key] = now.adding(milliseconds: settings.settleMilliseconds)
        }
    }

    /// The last run may have ended between a write and its answer.
    func noteInterrupted() {
        do throws(TreeError) {
            for key in try tree.keysOfAttempts() { noteUndecided(key) }
        } catch {
            log.error("reconcile", "can't read which uploads were interrupted: \(error)")
        }
    }

    /// Throws `.undecided` as long as that is so.
    func requireDecided(_ key: ByteString) throws(BucketError) {
        guard let until = state.withLock({ $0.undecided[key] }) else { return }
        let left = until.milliseconds(since: time.monotonic())
        if left > 0 { throw .undecided(milliseconds: left) }
    }

    /// What stands for a node among the keys that are being worked on: one name of it at a time, so that its versions
    /// reach the bucket in order.
    func nodeKey(_ node: NodeID) -> ByteString { ByteString("/node/\(node.raw)") }

    // MARK: versions that can't be completed

    /// The version that a local change was made to is gone from the bucket, and not all of it had been fetched. Where
    /// another name's object has the same content that is used; else what was written here is set aside, and the name
    /// shows what the bucket has.
    func giveUp(_ situation: Situation, _ origin: ObjectSource) async throws(BucketError) {
        let id = situation.node.id
        // It may have been moved, or uploaded anew, by ourselves.
        guard try inTree(tree.node(id)?.origin) == origin else { return }
        guard try await isGone(origin.key, origin.etag) else { return }
        // The node's key is held already.
        for attempt in try inTree(tree.attempts(of: id)) {
            guard let (info, etag) = await written(by: attempt) else { continue }
            return try adopt(attempt, info, etag)
        }
        if let held = try inTree(tree.held(at: origin.key)), held.etag == origin.etag {
            _ = try inTree(tree.isExpendable(held))
        }
        guard let node = try inTree(tree.node(id)), node.origin == origin else { return }
        guard node.links == 1, !isProtected(id) else { throw .versionGone(origin.key.description) }
        try await setAside(situation.name, node)
    }

    private func setAside(_ name: Name, _ node: Node) async throws(BucketError) {
        let path = try inTree(tree.path(of: name.id)) ?? name.name
        let isChanged = contents.existing(node.id.raw)?.isDirty == true
        let kept = isChanged ? try inCache(contents.linkAside(node.id.raw)) : nil
        guard let events = try inTree(tree.forsake(name.id, node, now: time.now())) else {
            // It was changed or removed meanwhile.
            if let kept { contents.unlinkAside(kept) }
            return
        }
        if let kept {
            log.error(
                "reconcile",
                "\(path): the version that was changed here is gone from the bucket, and not all of it had been "
                    + "fetched; what was written is kept as \(kept), and the name shows what the bucket has")
        } else {
            log.warning("reconcile", "\(path) is gone from the bucket, and what was written here went with the power")
        }
        discovery.tell(events)
        try await discovery.list(name.parent)
    }
}
