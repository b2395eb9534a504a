import Layers
import MemoryStore
import ObjectStore
import Primitives
import StoreConformance
import Testing

@Suite(.timeLimit(.minutes(2)))
struct LongKeysTests {
    private static let maximum = 600
    private let memory = MemoryStore()
    private let store: LongKeys

    init() { store = LongKeys(memory, maximumKeyBytes: Self.maximum) }

    /// A path of directories, `count` bytes with the slash at its end.
    private func directory(_ count: Int) -> ByteString {
        let step = ByteString(String(repeating: "d", count: 99) + "/")
        var path = ByteString()
        while path.count + step.count < count { path = path + step }
        return path + ByteString(String(repeating: "e", count: count - path.count - 1) + "/")
    }

    private func all(_ prefix: ByteString, limit: Int) async throws -> ListPage {
        var whole = ListPage()
        repeat {
            let from = whole.next.map { ListPosition.page($0) }
            let page = try await store.list(prefix: prefix, delimited: true, from: from, limit: limit)
            #expect(page.objects.count + page.prefixes.count <= limit)
            whole.objects += page.objects
            whole.prefixes += page.prefixes
            whole.next = page.next
        } while whole.next != nil
        return whole
    }

    @Test(arguments: ConformanceSuite.cases)
    func conforms(_ rule: ConformanceCase) async throws {
        try await ConformanceSuite(store: LongKeys(MemoryStore(), maximumKeyBytes: 1024)).run(rule)
    }

    @Test func whatFitsLiesAtItsKey() async throws {
        let key = directory(Self.maximum - 1) + "a"
        try await store.put(key, "1")
        #expect(memory.snapshot().map(\.info.key) == [key])
    }

    @Test func longerKeysAreKeptElsewhere() async throws {
        let key = directory(3000) + "name"
        let info = try await store.put(key, "1")
        #expect(info.key == key)
        let held = memory.snapshot().map(\.info.key)
        #expect(held.count == 1 && held[0].hasPrefix(".pail/long/") && held[0].hasSuffix("/name"))
        #expect(try await store.head(key).key == key)
        #expect(try await store.read(key, range: nil, ifMatch: info.etag).info.key == key)
        #expect(try await store.text(key) == "1")
        let copy = try await store.copy(
            key, etag: info.etag, to: directory(900) + "copy", metadata: nil, contentType: nil, condition: .absent)
        #expect(copy.key == directory(900) + "copy")
        let plan = UploadPlan(
            segments: [.unchanged(0..<1), .new(1..<2)], base: .init(key: key, etag: try #require(info.etag)),
            source: MemorySource(Array("12".utf8)))
        _ = try await store.write(plan, to: key, metadata: [:], contentType: nil, condition: .none)
        #expect(try await store.text(key) == "12")
        try await store.delete(copy.key, condition: .none)
        #expect(try await store.delete([key, "nothing"]).allSatisfy { $0 == nil })
        #expect(memory.snapshot().isEmpty)
    }

    /// Directories before, at and beyond the length at which their entries change places.
    @Test(arguments: [200, 343, 344, 345, 500, 598, 599, 600, 601, 2500], [1, 2, 3, 1000])
    func listings(_ count: Int, _ limit: Int) async throws {
        let prefix = directory(count)
        let names = (0..<6).map { ByteString("file-\($0)") } + [ByteString(String(repeating: "n", count: 255))]
        let folders = (0..<6).map { ByteString("d\($0)/") } + [ByteString(String(repeating: "d", count: 255) + "/")]
        for name in names { try await store.put(prefix + name, "1") }
        for folder in folders { try await store.put(prefix + folder, "") }
        try await store.put(prefix, "")
        let page = try await all(prefix, limit: limit)
        // With room for one entry only, the directory's own object may have none.
        let objects = page.objects.map(\.key).filter { $0 != prefix }
        #expect(objects.sorted() == names.map { prefix + $0 }.sorted())
        #expect(page.prefixes.sorted() == folders.map { prefix + $0 }.sorted())
        if limit > 1 { #expect(page.objects.count { $0.key == prefix } == 1) }
        let below = try await store.list(prefix: prefix, delimited: false, from: nil, limit: 1)
        #expect(below.objects.count == 1)
    }

    @Test func directoriesInTwoPlacesBeginAtTheirBeginning() async throws {
        for name in ["a", "b"] as [ByteString] { try await store.put(directory(200) + name, "1") }
        let from = ListPosition.after(directory(200) + "a")
        let rest = try await store.list(prefix: directory(200), delimited: true, from: from, limit: 10)
        #expect(rest.objects.map(\.key) == [directory(200) + "b"])
        let error = await failure { () async throws(StoreError) in
            let edge = directory(500)
            _ = try await store.list(prefix: edge, delimited: true, from: .after(edge + "a"), limit: 10)
        }
        #expect(error?.kind == .unsupported)
    }

    @Test func whatIsMissingIsNamedByItsKey() async throws {
        let key = directory(2000) + "a"
        let error = await failure { () async throws(StoreError) in _ = try await store.head(key) }
        #expect(error?.kind == .notFound && error?.key == key)
        #expect(try await all(directory(2000), limit: 10).objects.isEmpty)
    }
}
