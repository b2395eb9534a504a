import BlockCache
import Glibc
import ObjectStore
import Primitives
import Reconciling
import Tree

/// What operations wait for.
extension FileSystem {
    /// How long a writer waits for room in the cache between looks.
    private static let roomMilliseconds: Int64 = 20
    /// How often, and after what time, it is looked whether a file is uploaded still.
    private static let learningAttempts = 40
    private static let learningMilliseconds: Int64 = 50

    /// Gets what an operation needs; then the operation is to be called again. Throws what the caller of the
    /// operation is to see. Ends soon when the task is cancelled.
    public func satisfy(_ need: Need) async throws(Errno) {
        switch need {
        case .name(let parent, let name):
            try await asking("looking up \(name)") { () async throws(BucketError) in
                try await discovery.refresh(parent, name)
            }
        case .attributes(let node):
            try await asking("attributes of \(node)") { () async throws(BucketError) in
                try await filesAhead.attributes(node)
            }
        case .listing(let node):
            try await asking("listing \(node)") { () async throws(BucketError) in try await discovery.list(node) }
        case .pages(let node, let range): try await fetch(node, range)
        case .digests(let node): try await learnDigests(of: node)
        case .room(let bytes): try await waitForRoom(bytes)
        case .upload(let node):
            try await asking("uploading \(node)") { () async throws(BucketError) in try await reconciler.drain(node) }
        case .outcome(let node):
            try await asking("the last upload of \(node)") { () async throws(BucketError) in
                try await reconciler.settle(node)
            }
        }
    }

    private func asking(
        _ what: @autoclosure () -> String, _ body: () async throws(BucketError) -> Void
    ) async throws(Errno) {
        do throws(BucketError) { try await body() } catch let error {
            log.warning("files", "\(what()): \(error)")
            throw Errno(error)
        }
    }

    /// Fetches a part of a node's content from where the bucket has it now.
    func fetch(_ id: NodeID, _ range: ByteRange) async throws(Errno) {
        if let node = (try? tree.node(id)) ?? nil { filesAhead.reads(node) }
        try await asking("reading \(id)") { () async throws(BucketError) in
            var tried: ObjectSource?
            while true {
                guard let open = state.withLock({ $0.open[id] }), let origin = try origin(of: id) else { return }
                do throws(FetchError) {
                    return try await fetcher.fetch(open.file, range, origin: origin)
                } catch let error {
                    let failure = BucketError(error, origin)
                    // It may just have been moved, or uploaded anew.
                    guard case .versionGone = failure, tried != origin else { throw failure }
                    tried = origin
                    if try self.origin(of: id) == origin, try await !reconciler.adoptWritten(id) {
                        try await discovery.revisit(id)
                        throw failure
                    }
                }
            }
        }
    }

    /// While the file is uploaded what the bucket has can't be told. That is not waited for long: all of it counts as changed
    /// then.
    private func learnDigests(of id: NodeID) async throws(Errno) {
        guard let file = contents.existing(id.raw) else { return }
        do throws(CacheError) {
            for _ in 0..<FileSystem.learningAttempts {
                try await file.learnDigests()
                if file.knowsDigests || Task.isCancelled { return }
                await time.sleep(milliseconds: FileSystem.learningMilliseconds)
            }
            file.presumeChanged()
        } catch {
            log.warning("files", "reading \(id): \(error)")
            throw error.errno
        }
    }

    private func origin(of id: NodeID) throws(BucketError) -> ObjectSource? {
        try inTree(tree.node(id))?.origin
    }

    /// Waits until uploads have made room. The reconciler is told to hurry.
    private func waitForRoom(_ bytes: Int64) async throws(Errno) {
        reconciler.hurry()
        defer { reconciler.relax() }
        while !Task.isCancelled {
            switch contents.makeRoom(bytes: bytes, forWriting: true) {
            case .available: return
            case .diskFull: throw Errno(ENOSPC)
            case .evicting, .wait: await time.sleep(milliseconds: FileSystem.roomMilliseconds)
            }
        }
        throw Errno(EINTR)
    }
}
