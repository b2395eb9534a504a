import BlockCache
import ObjectStore
import Primitives
import Tree

/// Large new files that are being written: what rests of them is sent before they are closed.
extension Reconciler {
    /// Files at one time that are sent ahead; others are sent when they rest.
    static let earlyUploadsAtOnce = 4
    /// Between looks at whether such a file rests.
    static let restPollMilliseconds: Int64 = 100

    /// Whether the file is to be left until it rests, while parts of it go ahead. Begins that if it is worth while.
    func sendsAhead(_ situation: Situation, _ file: CachedFile) async throws(BucketError) -> Bool {
        let id = situation.node.id
        if let early = early.withLock({ $0[id] }) {
            guard early.beginning.key == situation.wanted, state.withLock({ $0.hurries == 0 }) else { return false }
            let patience = settings.delayMilliseconds * Reconciler.patience
            return early.isGoingOn(rest: settings.delayMilliseconds, patience: patience)
        }
        guard state.withLock({ $0.hurries == 0 && !$0.isStopping }), file.mayBeWritten,
            file.originBytes == 0, !file.isUnseen || situation.node.origin == nil,
            file.sizeBytes >= settings.earlyBytes, situation.node.linkCount == 1,
            try await inStore(await objects.capabilities()).copiesRanges
        else { return false }
        let tag = tree.newTag()
        let beginning = EarlyUpload.Beginning(
            key: situation.wanted, tag: tag,
            metadata: AttributeMapping.metadata(of: situation.node, at: situation.wanted, tag: tag, content: ""),
            contentType: AttributeMapping.contentType(of: situation.node))
        return early.withLock { early in
            // Of files that were removed, or of which others will hear when they are uploaded.
            early = early.filter { !$0.value.hasFailed }
            guard early.count < Reconciler.earlyUploadsAtOnce else { return false }
            early[id] = EarlyUpload(file, beginning, objects, time, log)
            return true
        }
    }

    /// What was sent ahead of the file, which is to be uploaded now.
    func takeEarly(_ situation: Situation) async -> (upload: EarlyUpload, started: UploadPlan.Started)? {
        let early = early.withLock { $0.removeValue(forKey: situation.node.id) }
        guard let early, let started = await early.stop() else { return nil }
        if early.beginning.key == situation.wanted { return (early, started) }
        await started.write.abandon()
        return nil
    }

    /// Takes back all that was sent ahead.
    func abandonEarly() async {
        let all = early.withLock { early in
            defer { early = [:] }
            return early.values.map { $0 }
        }
        await withDiscardingTaskGroup { group in
            for upload in all { group.addTask { await upload.abandon() } }
        }
    }
}
