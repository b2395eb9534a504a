import Glibc
import Primitives

/// What the bucket has of a large file, by the digests of its blocks: so that of what others have written only what differs
/// is uploaded.
///
/// In memory and in a file beside the content. Before an upload sends anything that file is gone, or tells only of what the
/// upload leaves as it is; after power loss it is not used. So it never tells of another version than the bucket's.
extension CachedFile {
    private static let learningAttempts = 3

    var digestsPath: String { path + DigestFile.suffix }

    /// Whether what others change in the file would be found.
    public var knowsDigests: Bool { writers.withLock { _ in knownDigests() != nil } }

    /// With `writers` held.
    func knownDigests() -> BlockDigests? {
        if let known = state.withLock({ $0.digests }) { return known }
        guard let stored = DigestFile.load(digestsPath) else { return nil }
        state.withLock { $0.digests = stored }
        return stored
    }

    /// With `writers` held. A failure costs a later upload some bytes.
    private func keep(_ digests: BlockDigests) {
        guard digests.sizeBytes > BlockDigests.leastBytes, !state.withLock({ $0.isRemoved }) else { return }
        do throws(CacheError) {
            try DigestFile.store(digests, at: digestsPath)
        } catch {
            cache.log.warning("cache", "\(error)")
        }
    }

    /// Before an upload that may replace all that the bucket has. With `writers` held.
    func takeDigests() -> BlockDigests? {
        let known = knownDigests()
        unlink(digestsPath)
        return known
    }

    /// After an upload. With `writers` held.
    func settleDigests(_ snapshot: Snapshot, succeeded: Bool) {
        let now = state.withLock { state -> BlockDigests? in
            if succeeded {
                state.digests = snapshot.digests
            } else if let old = state.digests, let new = snapshot.digests {
                // The bucket may have it all the same.
                state.digests?.forget(new.changed(since: old))
            } else {
                state.digests = nil
            }
            return state.digests
        }
        if let now { keep(now) }
        if succeeded, now == nil, snapshot.sizeBytes > BlockDigests.leastBytes { cache.learner.learn(id, cache) }
    }

    /// Finds what of a snapshot differs from what the bucket has, for which all of a large file is read. Where it isn't
    /// known, anything may be new. Call it before the snapshot is sent; when it fails, the upload is over.
    /// - Parameter withDigests: compute those of all of a large file in any case.
    public func compared(_ snapshot: Snapshot, withDigests: Bool) async throws(CacheError) -> Snapshot {
        let isOfUse = withDigests || snapshot.base != nil || state.withLock { $0.unseen != nil }
        guard snapshot.pages == nil, snapshot.sizeBytes > BlockDigests.leastBytes, isOfUse else { return snapshot }
        var compared = snapshot
        do throws(CacheError) {
            let now = try await digests(snapshot.frozen?.descriptor ?? descriptor, snapshot.sizeBytes)
            if snapshot.frozen == nil, !isUndisturbed(since: snapshot.generation) { throw busy }
            compared.digests = now
        } catch {
            // Nothing was sent.
            compared.digests = snapshot.base
            try finishUpload(compared, succeeded: false)
            throw error
        }
        guard let base = snapshot.base, let now = compared.digests else { return compared }
        compared.pages = now.pages(changedSince: base)
        compared.originBytes = snapshot.sizeBytes
        var left = base
        left.forget(now.changed(since: base))
        left.cut(to: snapshot.sizeBytes)
        writers.withLock { _ in
            if state.withLock({ $0.upload?.serial == snapshot.serial }) { keep(left) }
        }
        return compared
    }

    /// Reads a large file for the digests of what the bucket has of it, unless they are known. Does nothing with a file
    /// that isn't whole, or that others may have written to.
    public func learnDigests() async throws(CacheError) {
        for _ in 0..<Self.learningAttempts {
            let before = writers.withLock { _ in knownDigests() == nil ? state.withLock { Learning($0) } : nil }
            guard let before, before.isPossible else { return }
            let found =
                before.isUnknown
                ? BlockDigests(unknown: before.sizeBytes) : try await digests(descriptor, before.sizeBytes)
            let isLearnt = writers.withLock { _ in
                state.withLock { state -> BlockDigests? in
                    let now = Learning(state)
                    guard now.isPossible, now.isUnknown == before.isUnknown, now.uploads == before.uploads,
                        now.evictions == before.evictions
                    else { return nil }
                    var learnt = found
                    learnt.forget(learnt.blocks.filter { state.isChanged($0) })
                    state.digests = learnt
                    return learnt
                }.map { keep($0) } != nil
            }
            if isLearnt { return }
        }
    }

    /// All of a file of which it isn't known what the bucket has counts as changed.
    public func presumeChanged() {
        writers.withLock { _ in
            if knownDigests() == nil { state.withLock { $0.digests = BlockDigests(unknown: $0.sizeBytes) } }
        }
    }

    /// Reads the content without counting as one who has read it.
    private func digests(_ descriptor: Int32, _ sizeBytes: Int64) async throws(CacheError) -> BlockDigests {
        let primed = state.withLock { $0.primedAccess }
        let isUnread = primed != nil && present?.accessed == primed
        let digests = try await BlockDigests(of: descriptor, path, sizeBytes: sizeBytes)
        if isUnread, let primed { try setAccessed(primed) }
        return digests
    }
}

/// What must not change while a file's digests are learnt.
private struct Learning {
    var sizeBytes: Int64
    var uploads: UInt64
    var evictions: UInt64
    var isPossible: Bool
    /// It is changed, and nobody knows where.
    var isUnknown: Bool

    init(_ state: FileState) {
        sizeBytes = state.sizeBytes
        uploads = state.uploads
        evictions = state.evictions
        isPossible =
            state.isWhole && state.unseen == nil && state.upload == nil && state.sizeBytes > BlockDigests.leastBytes
        isUnknown = state.isDirty && state.map == nil
    }
}
