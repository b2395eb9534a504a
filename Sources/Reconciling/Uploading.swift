import BlockCache
import ObjectStore
import Primitives
import Tree

/// Contents on their way to the bucket.
extension Reconciler {
    /// The node's content file; nil if there is none and the object is in the bucket as it is.
    func content(of node: Node) throws(BucketError) -> CachedFile? {
        if let file = contents.existing(node.id.raw) { return file }
        guard node.origin != nil else { return nil }
        return try inCache(contents.open(node.id.raw) { (try? tree.node(node.id))??.origin?.sizeBytes })
    }

    func upload(_ situation: Situation, _ condition: Condition) async throws(BucketError) {
        let node = situation.node
        if node.isFile { return try await uploadFile(situation, condition) }
        if node.isDirectory, try await !inStore(await objects.capabilities()).acceptsDirectoryMarkers {
            return try inTree(tree.closeWithoutObject(situation.name.id))
        }
        let body = node.isSymlink ? node.target?.bytes ?? [] : []
        let attempt = try await begin(situation, content: node.content)
        try await carryOut(attempt, situation) { () async throws(StoreError) in
            try await objects.write(
                UploadPlan(bytes: body), to: situation.wanted,
                metadata: metadata(of: node, for: attempt),
                contentType: AttributeMapping.contentType(of: node), condition: condition)
        }
    }

    func uploadFile(_ situation: Situation, _ condition: Condition) async throws(BucketError) {
        // Another name's upload says first what the file holds.
        if isUnsettled(situation.node.id) { throw .undecided(milliseconds: Reconciler.settlePollMilliseconds) }
        guard let file = try content(of: situation.node) else {
            throw .versionGone("\(situation.name.name): its content is not in the cache")
        }
        look(at: situation.node.id)
        if try await sendsAhead(situation, file) {
            throw .undecided(milliseconds: Reconciler.restPollMilliseconds)
        }
        let early = await takeEarly(situation)
        let result = await catching { () async throws(BucketError) in
            try await uploadFile(situation, condition, file, early)
        }
        // Unless it became the object.
        await early?.started.write.abandon()
        try result.get()
    }

    private func uploadFile(
        _ situation: Situation, _ condition: Condition, _ file: CachedFile,
        _ early: (upload: EarlyUpload, started: UploadPlan.Started)?
    ) async throws(BucketError) {
        // The version is read before the snapshot: a change in between only makes one upload too many. Read after it,
        // a change that the snapshot doesn't have would count as sent.
        guard let version = try inTree(tree.node(situation.node.id))?.content else { return }
        let snapshot = try await snapshot(
            of: file, situation.name.id, withDigests: early?.upload.needsDigests ?? false)
        let result = await catching { () async throws(BucketError) in
            if let early { return try await send(early, snapshot, situation, condition, version: version) }
            return try await send(snapshot, file, situation, condition, version: version)
        }
        let isSent = (try? result.get()) ?? false
        // After power loss, a tree that forgot the upload would not find the content that a clean file stands for.
        let durable = await catching { () async throws(BucketError) in if isSent { try await durability.reach() } }
        try inCache(file.finishUpload(snapshot, succeeded: isSent && (try? durable.get()) != nil))
        _ = try result.get()
        try durable.get()
    }

    /// Returns whether the snapshot is in the bucket, as the name's content.
    private func send(
        _ snapshot: Snapshot, _ file: CachedFile, _ situation: Situation, _ condition: Condition,
        version: Int64
    ) async throws(BucketError) -> Bool {
        guard let node = try inTree(tree.node(situation.node.id)) else { return false }
        let capabilities = try await inStore(await objects.capabilities())
        let base = node.origin.flatMap { origin -> UploadPlan.Base? in
            capabilities.copiesRanges ? UploadPlan.Base(key: origin.key, etag: origin.etag) : nil
        }
        let (plan, missing) = snapshot.plan(
            base: base, baseSizeBytes: node.origin?.sizeBytes ?? 0, granularity: capabilities.rangeGranularityBytes)
        do throws(BucketError) {
            do throws(BucketError) {
                try await fetch(missing, into: file, node)
                return try await send(plan, snapshot, situation, node, condition, version: version)
            } catch {
                // What the cache has may be all that is needed.
                guard case .versionGone = error, plan.base != nil else { throw error }
                let (whole, missing) = snapshot.plan(base: nil, baseSizeBytes: 0, granularity: 0)
                try await fetch(missing, into: file, node)
                return try await send(whole, snapshot, situation, node, condition, version: version)
            }
        } catch {
            guard case .versionGone = error, let origin = node.origin else { throw error }
            try await giveUp(situation, origin)
            return false
        }
    }

    /// Sends what is left of a file of which parts were sent ahead.
    private func send(
        _ early: (upload: EarlyUpload, started: UploadPlan.Started), _ snapshot: Snapshot, _ situation: Situation,
        _ condition: Condition, version: Int64
    ) async throws(BucketError) -> Bool {
        guard let node = try inTree(tree.node(situation.node.id)) else { return false }
        var plan = UploadPlan(whole: snapshot, sizeBytes: snapshot.sizeBytes)
        let parts = early.upload.parts(early.started.parts, of: snapshot)
        if parts.isEmpty {
            await early.started.write.abandon()
        } else {
            plan.started = UploadPlan.Started(write: early.started.write, parts: parts)
        }
        let beginning = parts.isEmpty ? nil : early.upload.beginning
        return try await send(plan, snapshot, situation, node, condition, version: version, beginning)
    }

    private func send(
        _ plan: UploadPlan, _ snapshot: Snapshot, _ situation: Situation, _ node: Node, _ condition: Condition,
        version: Int64, _ beginning: EarlyUpload.Beginning? = nil
    ) async throws(BucketError) -> Bool {
        let attempt = try await begin(
            situation, content: version, revision: snapshot.isClean ? situation.revision(version) : nil, beginning)
        let isSent = try await carryOut(attempt, situation, base: plan.base) { () async throws(StoreError) in
            try await objects.write(
                plan, to: situation.wanted, metadata: metadata(of: node, for: attempt),
                contentType: AttributeMapping.contentType(of: node), condition: condition)
        }
        if isSent { state.withLock { $0.uploadedBytes += plan.newBytes } }
        return isSent
    }

    /// A file that keeps changing under its uploads is sent from a private copy.
    private func snapshot(
        of file: CachedFile, _ name: NameID, withDigests: Bool
    ) async throws(BucketError) -> Snapshot {
        let interruptions = state.withLock { $0.failures[.name(name)]?.times ?? 0 }
        do throws(CacheError) {
            return try await file.compared(
                interruptions >= 2 ? file.beginFrozenUpload() : file.beginUpload(), withDigests: withDigests)
        } catch {
            throw .cache(error)
        }
    }

    func fetch(_ ranges: [ByteRange], into file: CachedFile, _ node: Node) async throws(BucketError) {
        guard !ranges.isEmpty else { return }
        guard let origin = node.origin else { throw .versionGone("node \(node.id)") }
        for range in ranges {
            do throws(FetchError) {
                try await fetcher.fetch(
                    file, range,
                    origin: origin)
            } catch let error {
                throw BucketError(error, origin)
            }
        }
    }
}
