import Primitives
import Tree

/// How far ahead of somebody who walks through a directory its entries are asked for: not at all when he comes, few when he
/// takes a second step in the directory's order, and twice as many each time that he goes on. A pure value.
struct DirectoryWalk {
    /// So many the first time; and who goes further at once doesn't walk.
    static let shortest = 8

    /// Where he has been lately, or may still be: several may walk together.
    private var begin: NameID
    /// Half of what was asked for last.
    private var middle: NameID
    /// The last that was asked for.
    private var end: NameID
    /// How many to ask for the next time.
    private var length: Int

    /// What to do for a walker who is at an entry.
    enum Step: Equatable {
        /// Enough was asked for.
        case none
        /// Go on: ask for so many entries after that one.
        case extend(after: NameID, limit: Int)
        /// The entries after that one were not asked for; if the walker isn't among so many of them, he went elsewhere.
        case find(after: NameID, limit: Int)
    }

    /// Somebody is at an entry.
    init(at name: NameID) {
        begin = name
        middle = name
        end = name
        length = Self.shortest
    }

    func step(at name: NameID) -> Step {
        if name.raw < begin.raw || name.raw > end.raw { return .find(after: end, limit: length) }
        // Where he came he may only stay.
        return name.raw < middle.raw || begin == end ? .none : .extend(after: end, limit: length)
    }

    /// These, too, were asked for.
    mutating func extend(_ following: [NameID], longest: Int) {
        guard let last = following.last, last.raw > end.raw else { return }
        begin = middle
        middle = following[following.count / 2]
        end = last
        length = min(longest, length * 2)
    }
}

/// The walks through the directories of a tree. Thread-safe.
public final class DirectoryWalks: Sendable {
    private static let rememberedDirectories = 1_024

    private let tree: Tree
    private let longest: Int
    private let walks = Lock([NodeID: DirectoryWalk]())

    /// - Parameter longest: most entries to ask for at a time.
    public init(tree: Tree, longest: Int) {
        self.tree = tree
        self.longest = longest
    }

    /// Somebody needs the entry: the ones to ask for ahead of him. Each entry is given once in a walk.
    public func next(at name: Name) throws(TreeError) -> [Found] {
        let walk = walks.withLock { $0[name.parent] }
        switch walk?.step(at: name.id) {
        case .none?: return []
        case .extend(let end, let limit)?: return try extend(name.parent, after: end, limit)
        case .find(let end, let limit)?:
            let near = try tree.children(of: name.parent, after: end, limit: limit)
            if near.contains(where: { $0.name.id == name.id }) {
                return try extend(name.parent, after: name.id, limit)
            }
        case nil: break
        }
        walks.withLock { walks in
            if walks.count >= Self.rememberedDirectories { walks.removeAll() }
            walks[name.parent] = DirectoryWalk(at: name.id)
        }
        return []
    }

    private func extend(_ directory: NodeID, after end: NameID, _ limit: Int) throws(TreeError) -> [Found] {
        let following = try tree.children(of: directory, after: end, limit: limit)
        walks.withLock { $0[directory]?.extend(following.map(\.name.id), longest: longest) }
        return following
    }
}
