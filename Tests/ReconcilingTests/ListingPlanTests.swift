import ObjectStore
import Primitives
import Testing

@testable import Reconciling

/// What plans ask for, answered from a list of names in any order of arrival.
@Suite struct ListingPlanTests {
    /// In what order a service lists, and what it makes of where a page is to begin.
    enum Manner: CaseIterable {
        case byBytes
        /// Directories by their names without the slash.
        case byNames
        case ignoringWhereToBegin
        case unordered
    }

    static let spreads: [String: @Sendable (Int, inout SeededGenerator) -> ByteString] = [
        "counted": { number, _ in ByteString("file-" + String(String(1_000_000 + number).dropFirst()) + ".jpg") },
        "counted without zeros": { number, _ in ByteString("photo \(number)") },
        "hexadecimal": { _, generator in ByteString(String(generator.next(), radix: 16)) },
        "directories": { number, generator in
            let ends: [Character] = ["/", "-", "!", "0"]
            return ByteString(String(number / 4, radix: 36) + String(ends[Int.random(in: 0..<4, using: &generator)]))
        },
        "any bytes": { _, generator in
            ByteString(
                bytes: (0..<Int.random(in: 1...6, using: &generator)).map { _ in
                    let byte = UInt8.random(in: 1...255, using: &generator)
                    return byte == UInt8(ascii: "/") ? 46 : byte
                })
        },
        "scripts": { _, generator in
            let alphabets = ["abc", "äöü", "文件資料夾", "😀😃🐟"].map { Array($0) }
            let alphabet = alphabets[Int.random(in: 0..<4, using: &generator)]
            let text = (0..<Int.random(in: 1...7, using: &generator)).map { _ in
                alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
            }
            return ByteString(String(text))
        },
        "one long tail": { number, generator in
            let tail = String(generator.next(), radix: 32)
            return ByteString(number.isMultiple(of: 50) ? tail : "the same beginning of all the others " + tail)
        },
        "clustered": { _, generator in
            let cluster = Int.random(in: 0..<5, using: &generator) * 1_000_003
            return ByteString("\(cluster + Int.random(in: 0..<4_000, using: &generator))")
        },
    ]

    private func names(_ spread: String, _ count: Int, _ generator: inout SeededGenerator) throws -> [ByteString] {
        let make = try #require(Self.spreads[spread])
        return Array(Set((0..<count).map { make($0, &generator) }.filter { !$0.isEmpty && $0 != "/" }))
    }

    @Test(arguments: spreads.keys.sorted(), [Manner.byBytes, .byNames])
    func nothingIsMissed(_ spread: String, _ manner: Manner) throws {
        for seed in 1...12 as ClosedRange<UInt64> {
            var generator = SeededGenerator(seed: seed)
            var wanted = try names(spread, [0, 30, 300, 3_000].randomElement(using: &generator) ?? 0, &generator)
            // Who lists by names has no file beside a directory of the same name.
            if manner == .byNames { wanted = wanted.filter { [wanted = Set(wanted)] in !wanted.contains($0 + "/") } }
            var service = Service(wanted, manner, pageEntries: [1, 10, 50].randomElement(using: &generator) ?? 1)
            let found = service.list(listersAtOnce: [1, 2, 8].randomElement(using: &generator) ?? 1, &generator)
            let isWhole = found == Set(wanted)
            #expect(isWhole, "seed \(seed): \(found?.count ?? -1) of \(wanted.count)")
            // What is guessed in vain costs no more than what the listing costs anyway.
            let least = wanted.count / service.pageEntries + 1
            #expect(service.requests <= 2 * least + 16, "seed \(seed): \(service.requests) for \(least) pages")
        }
    }

    /// Rounds: each is one round trip, all the pages that are asked for at a time.
    @Test(arguments: ["counted", "counted without zeros", "hexadecimal", "directories", "one long tail", "clustered"])
    func aLongListingTakesFewRounds(_ spread: String) throws {
        var generator = SeededGenerator(seed: 7)
        let wanted = try names(spread, 10_000, &generator)
        var service = Service(wanted, .byBytes, pageEntries: 25)
        let isWhole = service.list(listersAtOnce: 8, &generator) == Set(wanted)
        #expect(isWhole)
        let pages = wanted.count / 25
        #expect(service.rounds < pages / 4, "\(service.rounds) rounds for \(pages) pages")
        #expect(service.requests < pages * 5 / 4, "\(service.requests) requests for \(pages) pages")
    }

    @Test(arguments: [Manner.ignoringWhereToBegin, .unordered])
    func whoDoesNotListInOrderIsFoundOut(_ manner: Manner) throws {
        var generator = SeededGenerator(seed: 3)
        let wanted = try names("counted", 500, &generator)
        var service = Service(wanted, manner, pageEntries: 10)
        let found = service.list(listersAtOnce: 8, &generator)
        let isWhole = found == Set(wanted)
        #expect(found == nil || isWhole)
        #expect(manner == .unordered || found == nil)
        let isWholeOneByOne = service.list(listersAtOnce: 1, &generator) == Set(wanted)
        #expect(isWholeOneByOne)
    }

    @Test func cutsLieWithin() throws {
        for seed in 1...12 as ClosedRange<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let spread = Self.spreads.keys.sorted().randomElement(using: &generator) ?? ""
            var alphabet = Alphabet()
            let borders = try names(spread, 2, &generator).sorted()
            alphabet.learn(try names(spread, 20, &generator))
            let range = NameRange(after: borders.first ?? "", through: borders.count > 1 ? borders[1] : nil)
            guard let middle = range.middle(alphabet) else { continue }
            #expect(middle > range.after && middle.text != nil && !middle.bytes.contains(UInt8(ascii: "/")))
            if let through = range.through { #expect(middle < through) }
        }
    }

    @Test func countedNamesEndWhereOneMoreCharacterChanges() {
        #expect(NameRange.ends(from: "file-0000", to: "file-0399", most: 3) == ["file-1", "file.", "filf"])
        #expect(NameRange.ends(from: "a", to: "b", most: 3) == [])
        #expect(NameRange.ends(from: ".a", to: ".b", most: 3) == ["0"])
    }
}

/// Stands for a service with one directory, and for the way to it, on which answers overtake each other.
private struct Service {
    private let names: [ByteString]
    private let manner: ListingPlanTests.Manner
    let pageEntries: Int
    private(set) var requests = 0
    private(set) var rounds = 0

    init(_ names: [ByteString], _ manner: ListingPlanTests.Manner, pageEntries: Int) {
        self.manner = manner
        self.pageEntries = pageEntries
        self.names =
            switch manner {
            case .byNames: names.sorted { Self.withoutSlash($0) < Self.withoutSlash($1) }
            case .unordered: names.sorted { $0.hashValue < $1.hashValue }
            default: names.sorted()
            }
    }

    private static let prefix: ByteString = "d/"
    private static func withoutSlash(_ name: ByteString) -> ByteString { name.hasSuffix("/") ? name.dropLast(1) : name }

    /// nil: the plan gave up.
    mutating func list(listersAtOnce: Int, _ generator: inout SeededGenerator) -> Set<ByteString>? {
        var plan = ListingPlan(prefix: Self.prefix, listersAtOnce: listersAtOnce)
        var found = Set<ByteString>()
        var underWay = plan.requests()
        while !underWay.isEmpty {
            rounds += 1
            let arriving = underWay.shuffled(using: &generator)
            underWay = []
            for request in arriving {
                requests += 1
                let page = page(request.from)
                guard plan.take(page, of: request) else { return nil }
                found.formUnion(page.objects.map { $0.key.dropFirst(Self.prefix.count) })
                found.formUnion(page.prefixes.map { $0.dropFirst(Self.prefix.count) })
                underWay += plan.requests()
            }
        }
        return found
    }

    private func page(_ from: ListPosition?) -> ListPage {
        let start =
            switch from {
            case nil: 0
            case .page(let token)?: Int(token) ?? 0
            case .after(let key)?: first(behind: key.dropFirst(Self.prefix.count))
            }
        let end = min(start + pageEntries, names.count)
        var page = ListPage(next: end < names.count ? String(end) : nil)
        for name in names[start..<end] {
            let key = Self.prefix + name
            if name.hasSuffix("/") {
                page.prefixes.append(key)
            } else {
                page.objects.append(ObjectInfo(key: key, sizeBytes: 1, etag: nil, lastModified: .zero))
            }
        }
        return page
    }

    private func first(behind name: ByteString) -> Int {
        switch manner {
        case .byBytes: names.firstIndex { $0 > name } ?? names.count
        case .byNames: names.firstIndex { Self.withoutSlash($0) > name } ?? names.count
        case .ignoringWhereToBegin, .unordered: 0
        }
    }
}
