import BlockCache
import Glibc
import ObjectStore
import Primitives
import Tree

extension Reconciler {
    /// Steps taken for one name in a row before others get their turn.
    static let stepsInARow = 8
    /// Names that wait for each other: chains longer than this are not followed.
    static let longestChain = 64
    /// How long a name waits before it looks again whether another is out of its way.
    static let waitMilliseconds: Int64 = 20

    /// Takes the name's next steps until nothing is left to do or something has to be waited for.
    func reconcile(_ name: NameID) async throws(BucketError) {
        for _ in 0..<Reconciler.stepsInARow {
            guard let situation = try inTree(tree.situation(of: name)) else { return }
            if try settleIfLive(situation) { continue }
            let step = Step.next(situation)
            if step == .close {
                if try inTree(tree.close(name)) { return }
                continue
            }
            if case .wait(let owner) = step { return try await wait(situation, for: owner) }
            let keys = Set(
                [
                    situation.wanted, situation.attempt?.key, situation.held?.key, situation.twin?.key,
                    nodeKey(situation.node.id),
                ].compactMap { $0 })
            let isDone = try await orWait(name, with: keys) { () async throws(BucketError) in
                // The look was before the keys were taken; look again.
                guard let situation = try inTree(tree.situation(of: name)), Step.next(situation) == step
                else { return }
                try await take(step, situation)
            }
            log.debug("reconcile", "\(situation.wanted): \(step)\(isDone ? "" : " has to wait")")
            if !isDone { return putOff(.name(name), milliseconds: Reconciler.waitMilliseconds) }
            if try !inTree(tree.isPending(name)) { return }
        }
        putOff(.name(name), milliseconds: 0)
    }

    private func take(_ step: Step, _ situation: Situation) async throws(BucketError) {
        if step.writesAttributes, !situation.node.isKnown {
            // What a moved directory holds has perhaps been listed only; it keeps the attributes that it has.
            return try await discovery.attributes(situation.node.id)
        }
        // A delete that is carried out late would take the same bytes away again.
        if step.writesAttributes { try requireDecided(situation.wanted) }
        switch step {
        case .close, .wait: break
        case .verify(let attempt): try await verify(attempt, situation)
        case .upload(let condition):
            if try isFree(situation) { try await upload(situation, condition) }
        case .copy(let source, let condition):
            if try isFree(situation) { try await copy(source, situation, condition) }
        case .leave(let prefix): try await leave(situation.node.id, prefix)
        case .arrive: try arrive(situation.node.id, situation.wanted)
        }
    }

    /// Whether what is at the wanted key may be replaced: who reads from there has to read elsewhere.
    private func isFree(_ situation: Situation) throws(BucketError) -> Bool {
        guard let occupant = situation.occupant, occupant.owner == nil, occupant.node != situation.node.id else {
            return true
        }
        return try inTree(tree.isExpendable(occupant))
    }

    /// A file that is being written: the tree gets its size and time from the cache file.
    private func settleIfLive(_ situation: Situation) throws(BucketError) -> Bool {
        guard situation.node.isLive, situation.node.isFile else { return false }
        // Who has it open knows better.
        look(at: situation.node.id)
        guard let node = try inTree(tree.node(situation.node.id)), node.isLive else { return true }
        guard let file = try content(of: node) else { return false }
        let modified = file.modified
        try inTree(
            tree.settle(node.id, sizeBytes: file.sizeBytes, modified: modified, changed: max(modified, node.changed)))
        return true
    }

    /// Another name's object is in the way. It is on its list; a ring of names that wait for each other is broken by
    /// moving this one's object to a key of our own.
    private func wait(_ situation: Situation, for owner: NameID) async throws(BucketError) {
        let name = situation.name.id
        var next = owner
        var isOwnerWaiting = false
        for _ in 0..<Reconciler.longestChain {
            guard let other = try inTree(tree.situation(of: next)),
                case .wait(let further) = Step.next(other)
            else { break }
            isOwnerWaiting = true
            if further == name, name.raw < next.raw || next == owner, let held = situation.held {
                _ = try await alone(with: [held.key]) { () async throws(BucketError) in
                    try await stepAside(held, situation)
                }
                break
            }
            next = further
        }
        // The owner gets its turn; at once only if that helps, or two that wait for each other never rest.
        putOff(.name(owner), milliseconds: isOwnerWaiting ? Reconciler.waitMilliseconds : 0)
        putOff(.name(name), milliseconds: Reconciler.waitMilliseconds)
    }

    // MARK: copies

    private func copy(
        _ source: HeldObject, _ situation: Situation, _ condition: Condition
    ) async throws(BucketError) {
        let node = situation.node
        let attempt = try await begin(situation, content: source.content, revision: source.contentID)
        do throws(BucketError) {
            try await carryOut(attempt, situation) { () async throws(StoreError) in
                try await objects.copy(
                    source.key, etag: source.etag, to: situation.wanted,
                    metadata: metadata(of: node, for: attempt), contentType: nil, condition: condition)
            }
        } catch let error {
            guard case .store(let cause) = error else { throw error }
            switch cause.kind {
            case .notFound, .conditionFailed: try await examine(source)
            case .unsupported, .refused: try await uploadInstead(situation, condition)
            default: throw error
            }
        }
    }

    /// The store can't copy: the content comes here and goes back.
    private func uploadInstead(_ situation: Situation, _ condition: Condition) async throws(BucketError) {
        guard situation.node.isFile else { return try await upload(situation, condition) }
        if let file = try content(of: situation.node) {
            try await fetch(file.missing(in: 0..<file.sizeBytes), into: file, situation.node)
        }
        try await uploadFile(situation, condition)
    }

    /// The object that a copy was to be made from is not what it was.
    private func examine(_ source: HeldObject) async throws(BucketError) {
        let since = try inTree(tree.sequence())
        guard let owner = source.owner else { return }
        switch await outcome(try await objects.head(source.key)) {
        case .success(let info):
            guard info.etag != source.etag else { return }
            discovery.tell(try await discovery.learn(owner, ObjectAnswer(info), since: since, now: time.now()))
        case .failure(let error):
            guard error.kind == .notFound else { throw .store(error) }
            try await lost(source, owner, since)
        }
    }

    /// A moving name's object vanished. If its content is all here it is sent again, else the name goes the same way.
    private func lost(_ source: HeldObject, _ owner: NameID, _ since: Int64) async throws(BucketError) {
        if let node = try inTree(tree.node(source.node)), node.isFile,
            let file = contents.existing(node.id.raw), file.isWhole
        {
            log.warning("reconcile", "\(source.key) is gone from the bucket; sending its content again")
            return try inTree(tree.release(source.key, etag: source.etag))
        }
        log.warning("reconcile", "\(source.key) was deleted in the bucket by somebody else")
        discovery.tell(try inTree(tree.vanished(owner, etag: source.etag, since: since, now: time.now())))
    }

    /// Breaks a ring: this name's object goes to a key that nobody wants.
    func stepAside(_ held: HeldObject, _ situation: Situation) async throws(BucketError) {
        let tag = tree.newTag()
        let attempt = Attempt(
            key: ObjectName.own + "moving/" + ByteString(tag), tag: tag, name: situation.name.id,
            node: held.node, content: held.content, attributes: held.attributes, revision: held.contentID)
        try inTree(tree.begin(attempt))
        try await durability.reach()
        let copied = await written(attempt) { () async throws(StoreError) in
            try await objects.copy(
                held.key, etag: held.etag, to: attempt.key,
                metadata: metadata(of: situation.node, for: attempt), contentType: nil, condition: .absent)
        }
        switch copied {
        case .success(let info): _ = try inTree(tree.finish(attempt, info))
        case .failure(let error):
            try noteFailure(of: attempt, error)
            throw .store(error)
        }
    }

    // MARK: directories

    /// Lists all of the directory's old place, so that what nobody has looked at so far moves too.
    private func leave(_ directory: NodeID, _ prefix: ByteString) async throws(BucketError) {
        try await discovery.list(directory)
        try inTree(tree.leave(directory, prefix))
    }

    /// Its children follow: they are marked before the directory has its place, so that a crash doesn't forget them.
    private func arrive(_ directory: NodeID, _ prefix: ByteString) throws(BucketError) {
        var after = NameID(0)
        while true {
            let from = after
            guard let last = try inTree(tree.spread(directory, after: from, limit: 1_000)) else { break }
            after = last
        }
        _ = try inTree(tree.arrive(directory, prefix))
    }
}

extension BucketError {
    /// What a failed fetch from `origin` means.
    public init(_ error: FetchError, _ origin: ObjectSource) {
        switch error {
        case .cache(let cause): self = .cache(cause)
        case .store(let cause):
            let isGone = cause.kind == .notFound || cause.kind == .conditionFailed
            self = isGone ? .versionGone(origin.key.description) : .store(cause)
        }
    }
}
