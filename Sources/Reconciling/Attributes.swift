import ObjectStore
import Primitives
import Tree

/// Attributes of objects that so far only a listing told of.
extension Discovery {
    /// Most entries of a directory whose attributes are asked for ahead of the caller at a time.
    static let sweepLength = 512
    /// The longest symbolic link that is read (PATH_MAX).
    static let maximumTargetBytes: Int64 = 4_096

    /// Learns the node's attributes. Asks for those of its neighbours too: who stats one entry often stats all.
    public func attributes(_ node: NodeID) async throws(BucketError) {
        guard let name = try inTree(tree.names(of: node)).first else { return }
        sweep(try inTree(walks.next(at: name)))
        try await head(node, name)
    }

    private func head(_ node: NodeID, _ name: Name) async throws(BucketError) {
        try await attributes(node, name) { (key, _) async throws(StoreError) in
            ObjectAnswer(try await self.objects.head(key))
        }
    }

    /// Learns the node's attributes by reading its whole object, which is given to `keep` before they are known: one
    /// request for a small file that is about to be read. What can't be read so is asked for as ever.
    public func content(
        of node: NodeID, _ keep: @escaping @Sendable (ObjectSource, [UInt8]) -> Void
    ) async throws(BucketError) {
        guard let name = try inTree(tree.names(of: node)).first else { return }
        try await attributes(node, name) { (key, source) async throws(StoreError) in
            guard let source, source.key == key else { return ObjectAnswer(try await self.objects.head(key)) }
            do throws(StoreError) {
                let body = try await self.objects.read(key, range: nil, ifMatch: source.etag)
                let answer = ObjectAnswer(body.info, body.bytes)
                if !answer.isSymlink { keep(source, body.bytes) }
                return answer
            } catch {
                guard error.kind == .conditionFailed else { throw error }
                return ObjectAnswer(try await self.objects.head(key))
            }
        }
    }

    private typealias Question = @Sendable (ByteString, ObjectSource?) async throws(StoreError) -> ObjectAnswer

    private func attributes(
        _ node: NodeID, _ name: Name, _ question: @escaping Question
    ) async throws(BucketError) {
        try await attributeFlights.join(node) {
            await self.attributeGate.enter()
            defer { self.attributeGate.leave() }
            return await catching { () async throws(BucketError) in try await self.ask(node, name, question) }
        }
    }

    private func ask(_ id: NodeID, _ name: Name, _ question: Question) async throws(BucketError) {
        guard let node = try inTree(tree.node(id)), !node.isKnown else {
            return
        }
        let since = try inTree(tree.sequence())
        let now = time.now()
        let held = try inTree(tree.held(by: name.id))
        guard let key = held?.key ?? node.prefix else {
            return try inTree(tree.learnImplicit(id))
        }
        let answer: ObjectAnswer
        do throws(StoreError) {
            answer = try await question(key, node.origin)
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
            let page = ListPage(objects: [answer.info])
            tell(
                try inTree(tree.merge(page, into: id, prefix: prefix, since: since, now: now)))
        }
        tell(try await learn(name.id, answer, since: since, now: now))
        // Whatever else happened to the name meanwhile: this version's attributes can't be had any more.
        if try inTree(tree.node(id)?.isKnown) == false {
            try inTree(tree.learnImplicit(id))
        }
    }

    /// Takes over an answer, and the target if the object stands for a symbolic link.
    func learn(
        _ name: NameID, _ answer: ObjectAnswer, since: Int64, now: Timestamp
    ) async throws(BucketError) -> [TreeEvent] {
        let info = answer.info
        var target: ByteString?
        if answer.isSymlink {
            let range = 0..<Discovery.maximumTargetBytes
            let bytes: [UInt8]
            if let body = answer.bytes {
                bytes = body
            } else {
                bytes = try await inStore(await objects.read(info.key, range: range, ifMatch: info.etag)).bytes
            }
            target = ByteString(bytes: bytes)
        }
        let content = target
        return try inTree(tree.learn(name, info, target: content, since: since, now: now))
    }

    /// Asks, in the background, for the unknown attributes of entries.
    private func sweep(_ entries: [Found]) {
        let unknown = entries.filter { !$0.node.isKnown }
        if unknown.isEmpty { return }
        Task {
            await withTaskGroup(of: Void.self) { group in
                for entry in unknown {
                    group.addTask {
                        // The caller who wants this one asks again and sees the error.
                        try? await self.head(entry.node.id, entry.name)
                    }
                }
            }
        }
    }
}

/// What a HEAD, or a GET of the whole object, has told.
struct ObjectAnswer: Sendable {
    let info: ObjectInfo
    let bytes: [UInt8]?

    init(_ info: ObjectInfo, _ bytes: [UInt8]? = nil) {
        self.info = info
        self.bytes = bytes
    }

    /// By its metadata (s3fs-fuse's form) a symbolic link, short enough to be one.
    var isSymlink: Bool {
        guard let mode = info.metadata?["mode"].flatMap({ UInt32($0) }) else { return false }
        return mode & 0o170000 == 0o120000 && info.sizeBytes <= Discovery.maximumTargetBytes
    }
}
