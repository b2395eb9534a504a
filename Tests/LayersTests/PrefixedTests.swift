import Layers
import MemoryStore
import ObjectStore
import Primitives
import Testing

@Suite struct PrefixedTests {
    private let memory = MemoryStore()
    private let store: Prefixed

    init() { store = Prefixed(memory, prefix: "team/data") }

    @Test func keysGetThePrefixAndLoseIt() async throws {
        #expect(store.name == "memory://bucket/team/data/")
        let info = try await store.put("a/b", "1")
        #expect(info.key == "a/b")
        #expect(memory.snapshot().map(\.info.key) == ["team/data/a/b"])
        #expect(try await store.head("a/b").key == "a/b")
        let body = try await store.read("a/b", range: nil, ifMatch: info.etag)
        #expect(body.info.key == "a/b" && body.bytes == Array("1".utf8))
        let copy = try await store.copy(
            "a/b", etag: info.etag, to: "c", metadata: nil, contentType: nil, condition: .absent)
        #expect(copy.key == "c")
        #expect(memory.object("team/data/c") != nil)
        try await store.delete("c", condition: .none)
        #expect(try await store.delete(["a/b", "nothing"]).allSatisfy { $0 == nil })
        #expect(memory.snapshot().isEmpty)
    }

    @Test func listsShowWhatIsInside() async throws {
        for key in ["team/data/", "team/data/a", "team/data/b/c", "team/data2", "team/x", "z"] as [ByteString] {
            memory.put(key, [1])
        }
        let flat = try await store.list(prefix: "", delimited: false, from: nil, limit: 1000)
        #expect(flat.objects.map(\.key) == ["a", "b/c"])
        let top = try await store.list(prefix: "", delimited: true, from: nil, limit: 1000)
        #expect(top.objects.map(\.key) == ["a"])
        #expect(top.prefixes == ["b/"])
        let below = try await store.list(prefix: "b/", delimited: true, from: nil, limit: 1000)
        #expect(below.objects.map(\.key) == ["b/c"])

        var pages: [ByteString] = []
        var from: ListPosition?
        repeat {
            let page = try await store.list(prefix: "", delimited: false, from: from, limit: 1)
            pages += page.objects.map(\.key)
            from = page.next.map { .page($0) }
        } while from != nil
        #expect(pages == ["a", "b/c"])
        let rest = try await store.list(prefix: "", delimited: true, from: .after("a"), limit: 1)
        #expect(rest.objects.isEmpty && rest.prefixes == ["b/"])
    }

    @Test func unchangedRangesComeFromTheBaseInside() async throws {
        let base = try await store.put("base", "0123456789")
        let plan = UploadPlan(
            segments: [.new(0..<2), .unchanged(2..<10)], base: .init(key: "base", etag: try #require(base.etag)),
            source: MemorySource(Array("ab".utf8)))
        _ = try await store.write(plan, to: "next", metadata: [:], contentType: nil, condition: .none)
        #expect(try await store.text("next") == "ab23456789")
    }

    @Test func errorsNameTheKeyInside() async throws {
        let error = await failure { () async throws(StoreError) in _ = try await store.head("a") }
        #expect(error?.kind == .notFound)
        #expect(error?.key == "a")
        let empty = await failure { () async throws(StoreError) in try await store.delete("", condition: .none) }
        #expect(empty?.kind == .refused)
    }

    @Test func theLongestKeyIsShorter() async throws {
        let whole = try await memory.capabilities().maximumKeyBytes
        #expect(try await store.capabilities().maximumKeyBytes == whole - 10)
        let key = ByteString(bytes: [UInt8](repeating: 0x61, count: whole - 9))
        #expect(await failure { () async throws(StoreError) in try await store.put(key, "1") }?.kind == .refused)
    }

    @Test func twoPrefixesDoNotMeet() async throws {
        let other = Prefixed(memory, prefix: "team/")
        try await store.put("a", "mine")
        try await other.put("a", "theirs")
        #expect(try await store.text("a") == "mine")
        #expect(try await other.text("a") == "theirs")
    }
}
