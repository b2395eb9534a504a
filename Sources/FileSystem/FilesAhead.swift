import BlockCache
import ObjectStore
import Primitives
import Reconciling
import Tree

/// Who reads a small file often reads the next one too (a training set, an archive being made): the contents of those
/// that follow in the directory's order are fetched ahead of him. And who has read a file is asked for the attributes of
/// the next one to read it: both come by one request then. Thread-safe.
final class FilesAhead: Sendable {
    private static let longestWalk = 64
    /// Attributes that are asked for after a file was read, which may be for reading the next one.
    private static let credit = 2
    private static let rememberedDirectories = 1_024
    private static let rememberedFiles = 4_096

    private struct State {
        /// For directories in which files were read lately: how many more questions for attributes count as reading.
        var credits: [NodeID: Int] = [:]
        /// Files that were fetched ahead and not opened yet.
        var expected: Set<NodeID> = []
    }

    private let tree: Tree
    private let contents: BlockCache
    private let fetcher: Fetcher
    private let discovery: Discovery
    private let walks: DirectoryWalks
    private let state = Lock(State())

    init(tree: Tree, contents: BlockCache, fetcher: Fetcher, discovery: Discovery) {
        self.tree = tree
        self.contents = contents
        self.fetcher = fetcher
        self.discovery = discovery
        walks = DirectoryWalks(tree: tree, longest: Self.longestWalk)
    }

    /// Learns the attributes of a node that somebody needs, with its content if that may be what he is after.
    func attributes(_ id: NodeID) async throws(BucketError) {
        guard try takesContent(id) else { return try await discovery.attributes(id) }
        expect([id])
        try await content(id)
    }

    /// Somebody opens the file.
    func opens(_ id: NodeID) {
        let wasExpected = state.withLock { $0.expected.isEmpty ? false : $0.expected.remove(id) != nil }
        if wasExpected { Task { goOn(after: id) } }
    }

    /// Somebody waits for content of the file.
    func reads(_ node: Node) { if isSmall(node) { goOn(after: node.id) } }

    private func isSmall(_ node: Node) -> Bool {
        guard node.isFile, let origin = node.origin else { return false }
        return origin.sizeBytes > 0 && origin.sizeBytes < ReadAhead.smallBytes
    }

    private func takesContent(_ id: NodeID) throws(BucketError) -> Bool {
        // Nobody reads: who only looks at many pays no questions to the tree for it.
        if state.withLock({ $0.credits.isEmpty }) { return false }
        guard let node = try inTree(tree.node(id)), isSmall(node),
            let directory = try inTree(tree.names(of: id)).first?.parent
        else { return false }
        return state.withLock { state in
            guard let left = state.credits[directory] else { return false }
            state.credits[directory] = left > 1 ? left - 1 : nil
            return true
        }
    }

    /// A file was read: what is fetched now.
    private func goOn(after id: NodeID) {
        // Whoever needs what can't be had fails by himself.
        guard let name = try? tree.names(of: id).first, let following = try? walks.next(at: name) else { return }
        state.withLock { state in
            if state.credits.count >= Self.rememberedDirectories { state.credits.removeAll() }
            state.credits[name.parent] = Self.credit
        }
        let files = following.map(\.node).filter { isSmall($0) && !isHere($0) }
        guard !files.isEmpty else { return }
        expect(files.map(\.id))
        for file in files { Task { try? await fetch(file) } }
    }

    private func expect(_ files: [NodeID]) {
        state.withLock { state in
            if state.expected.count >= Self.rememberedFiles { state.expected.removeAll() }
            state.expected.formUnion(files)
        }
    }

    private func isHere(_ node: Node) -> Bool { contents.allocatedBytes(ofWhole: node.id.raw) != nil }

    private func fetch(_ node: Node) async throws {
        guard node.isKnown else { return try await content(node.id) }
        guard let origin = node.origin else { return }
        await fetcher.fetchAhead(try contents.open(node.id.raw, originBytes: origin.sizeBytes), origin: origin)
    }

    private func content(_ id: NodeID) async throws(BucketError) {
        try await discovery.content(of: id) { [self] source, bytes in
            guard let node = try? tree.node(id), node.origin == source, !isHere(node) else { return }
            guard let file = try? contents.open(id.raw, originBytes: source.sizeBytes) else { return }
            fetcher.keep(bytes, in: file)
        }
    }
}
