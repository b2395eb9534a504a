import BlockCache
import Glibc
import ObjectStore
import Primitives
import Reconciling
import Telemetry
import Tree

/// What each POSIX operation means.
///
/// Operations are synchronous and never wait for the network: what needs it throws `Failure.need`. They may be called
/// from any thread. A change has reached the tree's database or the cache file when an operation returns, so it
/// survives the death of the process; `sync` makes it survive power loss.
public final class FileSystem: Sendable {
    public struct Settings: Sendable {
        /// fsync returns when the bucket has the file, not only the local disk.
        public var syncsToBucket = false
        /// Refuse changes.
        public var isReadOnly = false
        /// How long the kernel may believe a name without asking.
        public var nameMilliseconds: Int64 = 1_000
        /// How long the kernel may believe attributes; it is told when they change.
        public var attributeMilliseconds: Int64 = 3_600_000
        /// File names that are not UTF-8 are refused (EILSEQ): the store's keys can't hold them.
        public var requiresUTF8 = false
        /// The kernel may keep the entries of directories.
        public var keepsDirectories = false
        /// The most that is fetched ahead of a sequential reader.
        public var readAheadBytes: Int64 = 128 << 20
        public init() {}
    }

    struct State {
        var handles: [HandleID: Handle] = [:]
        var nextHandle: UInt64 = 0
        var open: [NodeID: OpenNode] = [:]
        /// How often the kernel was told of a node and has not forgotten it.
        var lookups: [NodeID: ReferenceCount] = [:]
        /// How files that are not in `open` are open since the process before.
        var former: [NodeID: OpenMode] = [:]
    }

    /// The longest path below the mount point, in bytes: programs can make longer ones than PATH_MAX, step by step.
    static let maximumPathBytes = 65_536

    let tree: Tree
    let contents: BlockCache
    let fetcher: Fetcher
    let discovery: Discovery
    let reconciler: Reconciler
    public let settings: Settings
    let time: any TimeSource
    let log: Log
    /// The nodes in `lookups`, and those that the kernel knows from the process before this one.
    let references: KernelReferences?
    let state = Lock(State())
    let backing = Lock<BackingFiles?>(nil)
    let watch = Lock(Watch())
    let listings = KernelListings()
    let filesAhead: FilesAhead
    private let listener = Lock<Hook<Invalidation, Void>?>(nil)

    /// - Parameter references: where the nodes are noted that the kernel knows; nil if nobody is to take over.
    public init(
        tree: Tree, cache: BlockCache, fetcher: Fetcher, discovery: Discovery, reconciler: Reconciler,
        settings: Settings, time: any TimeSource, log: Log, references: KernelReferences? = nil
    ) {
        self.tree = tree
        contents = cache
        self.fetcher = fetcher
        self.discovery = discovery
        self.reconciler = reconciler
        self.settings = settings
        self.time = time
        self.log = log
        self.references = references
        filesAhead = FilesAhead(tree: tree, contents: cache, fetcher: fetcher, discovery: discovery)
        tree.observeNames(Hook { [weak listings] directories in listings?.changed(directories) })
        discovery.listen(Hook { [weak self] events in self?.heed(events) })
        reconciler.protect(Hook { [weak self] node in self?.isReading(node) ?? false })
        reconciler.lookBeforeUpload(Hook { [weak self] node in self?.look(at: node) })
    }

    /// Tells `hook` what the kernel has to forget. Called on any thread: be quick.
    public func onInvalidate(_ hook: Hook<Invalidation, Void>) { listener.withLock { $0 = hook } }

    func invalidate(_ invalidation: Invalidation) { listener.withLock { $0 }?.call(invalidation) }

    private func heed(_ events: [TreeEvent]) {
        for event in events {
            switch event {
            case .entry(let parent, let name): invalidate(.entry(parent: parent, name: name))
            case .attributes(let node): invalidate(.attributes(node))
            case .orphan(let node): losesLastName(node)
            }
        }
    }

    /// An open file still needs the object of this node: not all of it is here.
    private func isReading(_ node: NodeID) -> Bool {
        if let open = state.withLock({ $0.open[node] }) { return !open.file.isWhole }
        // It may be open since before this process.
        guard isFormer(node), (try? tree.node(node))??.links == 0 else { return false }
        return contents.existing(node.raw)?.isWhole != true
    }

    // MARK: nodes

    func node(_ id: NodeID) throws(Failure) -> Node {
        guard let node = try local(tree.node(id)) else { throw Failure(ESTALE) }
        return node
    }

    /// A node whose attributes are known.
    func knownNode(_ id: NodeID) throws(Failure) -> Node {
        try requireSettled(id)
        let node = try node(id)
        // Without a name there is nothing to ask for: what the listing said has to do.
        guard node.isKnown || node.links == 0 else { throw .need(.attributes(id)) }
        return node
    }

    /// After power loss what a file holds may depend on what became of its last upload.
    func requireSettled(_ id: NodeID) throws(Failure) {
        if reconciler.isUnsettled(id) { throw .need(.outcome(id)) }
    }

    func directory(_ id: NodeID) throws(Failure) -> Node {
        let node = try node(id)
        guard node.isDirectory else { throw Failure(ENOTDIR) }
        return node
    }

    func requireWritable() throws(Failure) {
        if settings.isReadOnly { throw Failure(EROFS) }
    }

    // MARK: what is open

    /// Begins to use a file's content. Pair with `endUse`.
    func use(_ node: Node) throws(Failure) -> OpenNode {
        if let open = useIfOpen(node.id) { return open }
        return use(node, try content(of: node))
    }

    /// The same for what is used already; nil otherwise. Whoever holds an open node without a use of his own may find that
    /// it has ended, and that the file is open anew with another.
    func useIfOpen(_ id: NodeID) -> OpenNode? {
        state.withLock { state in
            let open = state.open[id]
            open?.state.withLock { $0.users += 1 }
            return open
        }
    }

    func use(_ node: Node, _ file: CachedFile) -> OpenNode {
        if node.links == 0 { contents.setNameless(file, true) }
        return state.withLock { state in
            let open =
                state.open[node.id] ?? OpenNode(node.id, file, state.former.removeValue(forKey: node.id) ?? OpenMode())
            open.state.withLock { $0.users += 1 }
            state.open[node.id] = open
            return open
        }
    }

    private func content(of node: Node) throws(Failure) -> CachedFile {
        if node.origin != nil {
            return try cached(contents.open(node.id.raw) { (try? tree.node(node.id))??.origin?.sizeBytes })
        }
        if let file = contents.existing(node.id.raw) { return file }
        // The process died between the name's making and its content's: nothing was written.
        guard node.sizeBytes == 0 else { throw Failure(EIO) }
        return try cached(contents.create(node.id.raw))
    }

    func endUse(_ open: OpenNode) {
        var end = tryEnd(open)
        while end == .unsettled {
            do throws(Failure) {
                try settle(open)
                end = tryEnd(open)
            } catch {
                // The content file says it all: the next start settles it.
                log.error("files", "recording the end of writing \(open.id) failed: \(error)")
                end = tryEnd(open, settled: true)
            }
        }
        if end == .last { forgetIfUnused(open.id) }
    }

    private enum UseEnd {
        case others
        case last
        /// The tree has to be told what was written before the node is taken for closed: who asks for its attributes then
        /// finds them there.
        case unsettled
    }

    private func tryEnd(_ open: OpenNode, settled: Bool = false) -> UseEnd {
        state.withLock { state in
            let end = open.state.withLock { open -> UseEnd in
                if open.users > 1 {
                    open.users -= 1
                    return .others
                }
                if open.modified != nil, !settled { return .unsettled }
                open.users = 0
                return .last
            }
            guard end == .last else { return end }
            state.open[open.id] = nil
            let mode = open.mode.withLock { $0 }
            if mode.handles > 0 { state.former[open.id] = mode }
            return .last
        }
    }

    func add(_ handle: Handle) -> HandleID {
        state.withLock { state in
            state.nextHandle += 1
            let id = HandleID(
                start: tree.starts, count: state.nextHandle, access: handle.access, isDirectory: handle.isDirectory)
            state.handles[id] = handle
            return id
        }
    }

    func file(_ id: HandleID) throws(Failure) -> OpenFile {
        guard case .file(let file) = state.withLock({ $0.handles[id] }) else { throw Failure(EBADF) }
        return file
    }

    func directory(_ id: HandleID) throws(Failure) -> NodeID {
        guard case .directory(let node) = state.withLock({ $0.handles[id] }) else { throw Failure(EBADF) }
        return node
    }

    func remove(_ id: HandleID) -> Handle? { state.withLock { $0.handles.removeValue(forKey: id) } }

    // MARK: what the kernel knows

    func countLookup(_ node: NodeID) {
        state.withLock { state in
            if state.lookups[node] == nil {
                state.lookups[node] = ReferenceCount(isFormer: references?[node] ?? false)
                references?[node] = true
            }
            state.lookups[node]!.counted += 1
        }
    }

    func isKnownToKernel(_ node: NodeID) -> Bool {
        state.withLock { $0.lookups[node] != nil || references?[node] == true }
    }

    /// The kernel drops `count` of its references.
    public func forget(_ node: NodeID, _ count: UInt64) {
        let isGone = state.withLock { state -> Bool in
            if var known = state.lookups[node], known.drop(count) {
                state.lookups[node] = known
                return false
            }
            state.lookups[node] = nil
            references?[node] = false
            return true
        }
        guard isGone else { return }
        dropFormer(node)
        forgetIfUnused(node)
    }

    /// The node's last name went: what is changed in it waits for no upload any more.
    func losesLastName(_ node: NodeID) {
        if let open = state.withLock({ $0.open[node] }) { contents.setNameless(open.file, true) }
        forgetIfUnused(node)
    }

    /// Removes a node that has no name, no user and no reference, with its content.
    func forgetIfUnused(_ node: NodeID) {
        let isUsed = state.withLock {
            $0.lookups[node] != nil || $0.open[node] != nil || references?[node] == true
        }
        guard !isUsed, (try? tree.node(node))??.links == 0 else { return }
        do throws(TreeError) {
            let forgotten = try tree.forgetOrphans([node])
            if !forgotten.isEmpty { removeContents(of: forgotten) }
        } catch {
            // The next start forgets it.
            log.error("files", "forgetting \(node) failed: \(error)")
        }
    }

    /// Removes contents once power loss can't bring their names back.
    private func removeContents(of nodes: [NodeID]) {
        Task {
            do throws(BucketError) {
                try await reconciler.makeDurable()
                for node in nodes { contents.remove(node.raw) }
            } catch {
                // The next start removes them.
                log.error("files", "removing the contents of \(nodes) failed: \(error)")
            }
        }
    }
}
