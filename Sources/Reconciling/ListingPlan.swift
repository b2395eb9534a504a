import ObjectStore
import Primitives

/// Which pages to ask for to list all of a prefix.
///
/// Listings begin with one lister. When that proves to be long, the rest is cut into ranges of names, each with a lister
/// of its own, and a lister that gets to the end of its range makes room for one that takes half of the largest left.
/// Where to cut is guessed; as soon as pages that came in vain, for they had little or nothing new, are as many as full
/// ones, no more is guessed.
///
/// A lister stops when a name behind its range came, by the order of keys and by that of names without the slash of
/// directories, in which some services list. What comes from behind the range counts all the same.
struct ListingPlan {
    /// A page to ask for.
    struct Request: Sendable {
        let lister: Int
        let from: ListPosition?
    }

    private struct Lister {
        let number: Int
        /// What is left of the range: it shrinks with each page.
        var range: NameRange
        /// Where the last page began.
        var former: ByteString = ""
        var next: ListPosition?
        var isWaiting = false
        var hasAnswered = false
        /// About how many pages are left, if names go on as they did. Infinity: their beginnings don't tell.
        var pagesLeft: Double
    }

    /// Full pages after which a listing is taken to be long.
    static let pagesOfOne = 4

    /// A range with fewer pages left isn't cut: one of them is on its way already.
    private static let leastPages = 2.0
    /// What is taken for the pages left where nothing tells.
    private static let mostPages = 1_000.0

    private let prefix: ByteString
    private let listersAtOnce: Int
    private var listers: [Lister]
    private var alphabet = Alphabet()
    private var nextNumber = 1
    private var fullPages = 0
    private var vainPages = 0
    /// Hash values of the keys and prefixes that came.
    private(set) var seen: Set<Int> = []
    /// Whether the store is known to list in another order.
    private var isUnordered = false

    /// - Parameter listersAtOnce: 1: pages come one after the other.
    init(prefix: ByteString, listersAtOnce: Int) {
        self.prefix = prefix
        self.listersAtOnce = listersAtOnce
        listers = [Lister(number: 0, range: NameRange(after: "", through: nil), pagesLeft: 0)]
    }

    private var isCut: Bool { nextNumber > 1 }

    /// What to ask for now. None, with none under way: the listing is complete.
    mutating func requests() -> [Request] {
        if fullPages >= Self.pagesOfOne, !isUnordered { cut() }
        var requests: [Request] = []
        for index in listers.indices where !listers[index].isWaiting {
            listers[index].isWaiting = true
            requests.append(Request(lister: listers[index].number, from: listers[index].next))
        }
        return requests
    }

    /// Takes an answer in. False if ranges can't be trusted, for the store doesn't list in the order of keys: some of
    /// them may have missed names.
    mutating func take(_ page: ListPage, of request: Request) -> Bool {
        guard let index = listers.firstIndex(where: { $0.number == request.lister }) else { return true }
        let names = Names(page, prefix)
        isUnordered = isUnordered || !names.isOrdered || names.least.map { $0 <= listers[index].range.after } ?? false
        if isUnordered, isCut { return false }
        // Later pages have little that is new.
        alphabet.learn(isCut ? names.ends : names.all)
        let isFirst = !listers[index].hasAnswered
        let isNew = see(page)
        let goesOn = advance(index, past: names, page.next)
        if isNew, goesOn { fullPages += 1 } else if isFirst || !isNew { vainPages += 1 }
        return true
    }

    /// Whether most of the page is new.
    private mutating func see(_ page: ListPage) -> Bool {
        let former = seen.count
        for object in page.objects { seen.insert(object.key.hashValue) }
        for below in page.prefixes { seen.insert(below.hashValue) }
        return 2 * (seen.count - former) > page.objects.count + page.prefixes.count
    }

    /// False if the lister is at its end.
    private mutating func advance(_ index: Int, past names: Names, _ next: String?) -> Bool {
        var lister = listers[index]
        guard let next, !names.reachBehind(lister.range) else {
            listers.remove(at: index)
            return false
        }
        lister.next = .page(next)
        lister.isWaiting = false
        lister.hasAnswered = true
        if let greatest = names.greatest {
            lister.pagesLeft = lister.range.rest(behind: greatest, alphabet)
            lister.former = lister.range.after
            lister.range.after = greatest
        }
        listers[index] = lister
        return true
    }

    // MARK: Cutting

    private mutating func cut() {
        while true {
            let most = min(listersAtOnce - listers.count, fullPages - vainPages)
            let largest = listers.indices.max { listers[$0].pagesLeft < listers[$1].pagesLeft }
            guard most > 0, let largest, listers[largest].pagesLeft >= Self.leastPages else { return }
            if listers[largest].pagesLeft == .infinity {
                cutAtEnds(largest, most)
            } else {
                cutInHalf(largest)
            }
        }
    }

    private mutating func cutInHalf(_ index: Int) {
        guard let name = listers[index].range.middle(alphabet) else {
            listers[index].pagesLeft = 0
            return
        }
        listers[index].pagesLeft /= 2
        cut(index, at: name, pagesLeft: listers[index].pagesLeft)
    }

    /// The names of the last page are too much alike for their range to be cut in half: that would have to be done
    /// again and again in vain. They go on for so long only if characters change that they share.
    private mutating func cutAtEnds(_ index: Int, _ most: Int) {
        let range = listers[index].range
        listers[index].pagesLeft = Self.mostPages
        for end in NameRange.ends(from: listers[index].former, to: range.after, most: most).reversed()
        where range.contains(end) {
            listers[index].pagesLeft = 0
            cut(index, at: end, pagesLeft: 0)
        }
    }

    /// Gives what is behind the name to a new lister.
    private mutating func cut(_ index: Int, at name: ByteString, pagesLeft: Double) {
        let range = NameRange(after: name, through: listers[index].range.through)
        listers[index].range.through = name
        listers.append(Lister(number: nextNumber, range: range, next: .after(prefix + name), pagesLeft: pagesLeft))
        nextNumber += 1
    }
}

/// The names of a page: keys and rolled-up prefixes without what they all begin with.
private struct Names {
    private let objects: [ByteString]
    private let directories: [ByteString]

    /// The directory's own object has no name.
    init(_ page: ListPage, _ prefix: ByteString) {
        objects = page.objects.map { $0.key.dropFirst(prefix.count) }.filter { !$0.isEmpty }
        directories = page.prefixes.map { $0.dropFirst(prefix.count) }
    }

    var all: [ByteString] { objects + directories }
    var ends: [ByteString] { [least, greatest].compactMap { $0 } }
    var isOrdered: Bool { zip(objects, objects.dropFirst()).allSatisfy { $0 < $1 } }
    var least: ByteString? { all.min() }
    /// Without the slash of directories: it is not behind where the page ends, in either order.
    var greatest: ByteString? { (objects + directories.map { $0.dropLast(1) }).max() }

    func reachBehind(_ range: NameRange) -> Bool {
        guard let through = range.through, let greatest else { return false }
        return greatest > through
    }
}
