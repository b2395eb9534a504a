import BlockCache
import Glibc
import ObjectStore
import Primitives
import Tree

/// Writes, and what became of them.
extension Reconciler {
    /// What no node's attributes count as.
    static let staleAttributes: Int64 = -1

    /// Records the write that is to come.
    /// - Parameters:
    ///   - revision: what the content is called, if an object has it.
    ///   - beginning: what the object was begun with, if that is so: its attributes may have changed since.
    func begin(
        _ situation: Situation, content: Int64, revision: String? = nil, _ beginning: EarlyUpload.Beginning? = nil
    ) async throws(BucketError) -> Attempt {
        var attempt = Attempt(
            key: situation.wanted, tag: beginning?.tag ?? tree.newTag(), name: situation.name.id,
            node: situation.node.id, content: content, attributes: situation.node.attributes, revision: revision)
        if let beginning, let node = try inTree(tree.node(situation.node.id)),
            metadata(of: node, for: attempt) != beginning.metadata
        {
            attempt.attributes = Reconciler.staleAttributes
        }
        try inTree(tree.begin(attempt))
        try await durability.reach()
        return attempt
    }

    /// What goes beside the bytes of a write.
    func metadata(of node: Node, for attempt: Attempt) -> Metadata {
        AttributeMapping.metadata(of: node, at: attempt.key, tag: attempt.tag, content: attempt.revision)
    }

    /// Sends a write and records what came of it. Returns whether it is in the bucket and the name has it. A failed
    /// condition is looked into; a write whose outcome is unknown stays on record and is verified when the name is next
    /// looked at.
    /// - Parameter base: what the write takes unchanged parts from. Throws `.versionGone` if that is why it failed.
    @discardableResult
    func carryOut(
        _ attempt: Attempt, _ situation: Situation, base: UploadPlan.Base? = nil,
        _ write: () async throws(StoreError) -> ObjectInfo
    ) async throws(BucketError) -> Bool {
        switch await written(attempt, write) {
        case .success(let info):
            if try await isOvertaken(attempt, info) {
                try await verify(attempt, situation)
                return false
            }
            return try inTree(tree.finish(attempt, info))
        case .failure(let error):
            if let base, error.kind == .conditionFailed || error.kind == .notFound,
                try await isGone(base.key, base.etag)
            {
                try inTree(tree.abandon(attempt))
                throw .versionGone(base.key.description)
            }
            if error.kind == .conditionFailed {
                try await verify(attempt, situation)
                // Looked at again after a while: a server may go on refusing what it says is the present version.
                throw .store(error)
            }
            try noteFailure(of: attempt, error)
            throw .store(error)
        }
    }

    /// A write that may have been carried out, or may yet be, stays on record.
    func noteFailure(of attempt: Attempt, _ error: StoreError) throws(BucketError) {
        if error.mayHaveHappened {
            noteUndecided(attempt.key)
        } else {
            try inTree(tree.abandon(attempt))
        }
    }

    /// Whether the bucket has another version at the key, or none. Throws if it can't be told.
    func isGone(_ key: ByteString, _ etag: ETag) async throws(BucketError) -> Bool {
        switch await outcome(try await objects.head(key)) {
        case .success(let info): return info.etag != etag
        case .failure(let error):
            if error.kind == .notFound { return true }
            throw .store(error)
        }
    }

    /// Where the store doesn't enforce conditions, two writers may both have looked at the key just before they wrote:
    /// the one whose version was overwritten finds out now, and keeps it as after a refused condition.
    private func isOvertaken(_ attempt: Attempt, _ written: ObjectInfo) async throws(BucketError) -> Bool {
        let capabilities = try await inStore(await objects.capabilities())
        if capabilities.writesIfAbsent, capabilities.writesIfMatch { return false }
        guard case .success(let present) = await outcome(try await objects.head(attempt.key)) else { return false }
        return present.etag != written.etag && present.metadata?["pail"] != attempt.tag
    }

    /// Sends a write. Where the answer has no ETag it is asked for.
    func written(
        _ attempt: Attempt, _ write: () async throws(StoreError) -> ObjectInfo
    ) async -> Result<ObjectInfo, StoreError> {
        do throws(StoreError) {
            let info = try await write()
            if info.etag != nil { return .success(info) }
            let now = try await objects.head(attempt.key)
            guard now.metadata?["pail"] == attempt.tag, now.etag != nil else {
                throw StoreError(.timedOut, "write", key: attempt.key, detail: "another version is there already")
            }
            return .success(now)
        } catch let error { return .failure(error) }
    }

    /// Finds out what became of a write by the tag of what is at the key now.
    func verify(_ attempt: Attempt, _ situation: Situation) async throws(BucketError) {
        try await findOutcome(of: attempt, situation)
        try noteSettled(attempt.node)
    }

    private func findOutcome(of attempt: Attempt, _ situation: Situation) async throws(BucketError) {
        let info: ObjectInfo
        do throws(StoreError) {
            info = try await objects.head(attempt.key)
        } catch let error {
            guard error.kind == .notFound else { throw .store(error) }
            try requireDecided(attempt.key)
            return try await nothingThere(attempt, situation)
        }
        guard let etag = info.etag else { return try inTree(tree.abandon(attempt)) }
        let tag = info.metadata?["pail"]
        if tag == attempt.tag { return try adopt(attempt, info, etag) }
        try requireDecided(attempt.key)
        if try inTree(tree.held(at: attempt.key))?.etag == etag { return try inTree(tree.abandon(attempt)) }
        if let tag, tree.isOwn(tag: tag) {
            return try inTree(tree.recognise(attempt.key, etag: etag, sizeBytes: info.sizeBytes))
        }
        try inTree(tree.abandon(attempt))
        // A key that the name doesn't want any more may have whatever it has.
        if attempt.key == situation.wanted { try resolve(situation, info) }
    }

    /// The write is in the bucket. Whether the cache has changed since can't be told, so what is dirty is sent again.
    func adopt(_ attempt: Attempt, _ info: ObjectInfo, _ etag: ETag) throws(BucketError) {
        _ = try inTree(tree.finish(attempt, info))
        guard let file = contents.existing(attempt.node.raw), file.isDirty else {
            return try takeSize(of: attempt, info)
        }
        do throws(TreeError) {
            try tree.touchContent(attempt.node)
        } catch let error {
            if case .notFound = error { return }
            throw .tree(error)
        }
    }

    /// The tree may have an older size than the version that the bucket has.
    private func takeSize(of attempt: Attempt, _ info: ObjectInfo) throws(BucketError) {
        guard isUnsettled(attempt.node), let node = try inTree(tree.node(attempt.node)),
            node.origin?.etag == info.etag
        else { return }
        try inTree(
            tree.settle(node.id, sizeBytes: info.sizeBytes, modified: node.modified, changed: node.changed))
    }

    private func nothingThere(_ attempt: Attempt, _ situation: Situation) async throws(BucketError) {
        try inTree(tree.abandon(attempt))
        if let row = try inTree(tree.held(at: attempt.key)), row.owner == nil {
            try inTree(tree.release(row.key, etag: row.etag))
        }
        if let held = situation.held, held.key == attempt.key {
            try await forgetHeld(held, situation)
        }
    }

    /// The name's own object was deleted by somebody else. Its content is sent anew if it was changed or is all here.
    private func forgetHeld(_ held: HeldObject, _ situation: Situation) async throws(BucketError) {
        let since = try inTree(tree.sequence())
        let node = situation.node
        let isChanged = held.content != node.content || held.node != node.id
        if isChanged || !node.isFile || contents.existing(node.id.raw)?.isWhole == true {
            return try inTree(tree.release(held.key, etag: held.etag))
        }
        discovery.tell(
            try inTree(tree.vanished(situation.name.id, etag: held.etag, since: since, now: time.now())))
    }

    private func resolve(_ situation: Situation, _ info: ObjectInfo) throws(BucketError) {
        let now = time.now()
        let suffix = conflictSuffix(now)
        let (events, copy) = try inTree(
            tree.resolveConflict(
                situation.name.id, info, copyName: { ConflictName.make($0, suffix) }, now: now))
        if let copy {
            log.warning("reconcile", "\(info.key) was changed in the bucket too; the local version is kept as \(copy)")
        }
        discovery.tell(events)
    }

    private func conflictSuffix(_ now: Timestamp) -> String {
        var seconds = Int(now.seconds)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        let numbers = [
            1900 + parts.tm_year, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
        ].map { $0 < 10 ? "0\($0)" : "\($0)" }
        return
            "conflict-\(numbers[0])\(numbers[1])\(numbers[2])-\(numbers[3])\(numbers[4])\(numbers[5])-\(settings.hostName)"
    }

    // MARK: deletions

    /// Deletes what nobody wants any more, if it is still the version that we knew.
    func removeLeftover(_ key: ByteString) async throws(BucketError) {
        let isDone = try await alone(with: [key]) { () async throws(BucketError) in
            if try inTree(tree.attempt(at: key)) != nil { return try await verifyLeftover(key) }
            guard let held = try inTree(tree.held(at: key)), held.owner == nil else { return }
            guard try inTree(tree.isExpendable(held)) else {
                return putOff(.leftover(key), milliseconds: Reconciler.waitMilliseconds)
            }
            if try isBeingRead(held) { return putOff(.leftover(key), milliseconds: settings.delayMilliseconds + 500) }
            // A name that wants the key will replace the object; deleting it first would leave a gap.
            if try inTree(tree.nameWanting(key)) != nil {
                return putOff(.leftover(key), milliseconds: settings.delayMilliseconds + 100)
            }
            // Some stores keep a directory that isn't empty, and say that it is gone.
            if key.hasSuffix("/"), try inTree(tree.isBeingEmptied(key)) {
                return putOff(.leftover(key), milliseconds: Reconciler.emptyMilliseconds)
            }
            // A tree that forgot where the content went would miss the object.
            try await durability.reach()
            switch await outcome(try await objects.delete(key, condition: .matches(held.etag))) {
            case .success:
                try inTree(tree.release(key, etag: held.etag))
                if let above = try inTree(tree.emptied(above: key)) { putOff(.leftover(above), milliseconds: 0) }
            case .failure(let error):
                if error.mayHaveHappened { noteUndecided(key) }
                guard error.kind == .conditionFailed || error.kind == .notFound else { throw .store(error) }
                try await reconsider(held)
            }
        }
        if !isDone { putOff(.leftover(key), milliseconds: Reconciler.waitMilliseconds) }
    }

    /// A write whose name is gone by now: if it was carried out it has to be taken back.
    func verifyLeftover(_ key: ByteString) async throws(BucketError) {
        guard let attempt = try inTree(tree.attempt(at: key)),
            try inTree(tree.name(attempt.name)) == nil
        else { return }
        switch await outcome(try await objects.head(key)) {
        case .success(let info):
            if let tag = info.metadata?["pail"], tree.isOwn(tag: tag), let etag = info.etag {
                try inTree(tree.recognise(key, etag: etag, sizeBytes: info.sizeBytes))
            } else {
                try requireDecided(key)
                try inTree(tree.abandon(attempt))
            }
        case .failure(let error):
            guard error.kind == .notFound else { throw .store(error) }
            try requireDecided(key)
            try inTree(tree.abandon(attempt))
        }
        try noteSettled(attempt.node)
        putOff(.leftover(key), milliseconds: 0)
    }

    /// What was to be deleted is another version now: ours, written late, or somebody else's, which stays.
    private func reconsider(_ held: HeldObject) async throws(BucketError) {
        let info: ObjectInfo
        do throws(StoreError) {
            info = try await objects.head(held.key)
        } catch let error {
            guard error.kind == .notFound else { throw .store(error) }
            return try inTree(tree.release(held.key, etag: held.etag))
        }
        if let tag = info.metadata?["pail"], tree.isOwn(tag: tag), let etag = info.etag {
            return try inTree(tree.recognise(held.key, etag: etag, sizeBytes: info.sizeBytes))
        }
        log.warning("reconcile", "not deleting \(held.key): it was changed by somebody else")
        try inTree(tree.release(held.key, etag: held.etag))
    }
}

/// What a conflict copy is called: the suffix goes before the extension.
enum ConflictName {
    static func make(_ name: ByteString, _ suffix: String) -> ByteString {
        let dot = name.bytes.lastIndex(of: UInt8(ascii: ".")) ?? 0
        let cut = dot > 0 ? dot : name.count
        let marked = ByteString(".\(suffix)")
        let room = KeyMapping.maximumNameBytes - marked.count - (name.count - cut)
        let stem = name.bytes[0..<min(cut, max(room, 1))]
        return ByteString(bytes: stem) + marked + ByteString(bytes: name.bytes[cut...])
    }
}
