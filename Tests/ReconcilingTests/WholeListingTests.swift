import Layers
import MemoryStore
import ObjectStore
import Primitives
import Telemetry
import Testing

@testable import Reconciling
@testable import Tree

/// Directories that are so long that they are listed in ranges.
@Suite(.timeLimit(.minutes(2)))
struct WholeListingTests {
    private static let count = 11_000
    private let bench: Bench
    private let store: Server

    init() throws {
        bench = try Bench()
        for number in 0..<Self.count { bench.memory.put(Self.name(number), []) }
        store = Server(bench.store)
    }

    /// Some are directories.
    private static func name(_ number: Int) -> ByteString {
        let digits = String(100_000 + number).dropFirst()
        return ByteString(number.isMultiple(of: 100) ? "d\(digits)/x" : "f\(digits)")
    }

    private func discovery(_ session: Session) -> Discovery {
        var settings = Discovery.Settings()
        settings.pageEntries = 250
        return Discovery(
            tree: session.tree, store: store, settings: settings, time: FastTime(),
            log: Log(level: .debug, sink: .memory(bench.log)))
    }

    private var wanted: Set<String> {
        Set((0..<Self.count).map { String(Self.name($0).description.prefix { $0 != "/" }) })
    }

    private func expectNames(_ session: Session, _ wanted: Set<String>) throws {
        let names = Set(try session.names())
        #expect(names.subtracting(wanted).count == 0 && wanted.subtracting(names).count == 0)
    }

    @Test func pagesComeSideBySide() async throws {
        bench.store.inject(.stall(milliseconds: 500), on: .list, times: 1_000)
        let session = try await bench.open()
        try await discovery(session).list(.root)
        try expectNames(session, wanted)
        #expect(store.most > 4)
        let pages = Self.count / 250
        #expect(store.calls.count < 2 * pages, "\(store.calls.count) requests for \(pages) pages")
        for number in stride(from: 0, to: Self.count, by: 7) { bench.memory.remove(Self.name(number)) }
        try await discovery(session).list(.root)
        try expectNames(session, Set(bench.bucket.keys.map { String($0.prefix { $0 != "/" }) }))
        await session.die()
    }

    @Test func aShortDirectoryIsListedByOne() async throws {
        for number in 1_000..<Self.count { bench.memory.remove(Self.name(number)) }
        let session = try await bench.open()
        try await discovery(session).list(.root)
        #expect(store.calls.count == 4 && store.calls.allSatisfy { !$0.isAfterKey })
        await session.die()
    }

    @Test(arguments: [Server.Manner.ignores, .refuses])
    fileprivate func whoCannotBeginAnywhereIsListedPageByPage(_ manner: Server.Manner) async throws {
        store.manner.withLock { $0 = manner }
        let session = try await bench.open()
        let discovery = discovery(session)
        try await discovery.list(.root)
        try expectNames(session, wanted)
        #expect(store.calls.contains { $0.isAfterKey })
        store.forget()
        try await discovery.list(.root)
        #expect(!store.calls.contains { $0.isAfterKey } && store.most == 1)
        await session.die()
    }

    @Test(arguments: [2, 6, 20, 40])
    func aFailureEndsAllAndNothingIsGone(_ skipped: Int) async throws {
        let session = try await bench.open()
        let discovery = discovery(session)
        try await discovery.list(.root)
        let listed = try #require(try session.tree.node(.root)?.listed)
        bench.memory.put("new", [])
        bench.store.inject(.fail(.unavailable), on: .list, skip: skipped)
        await #expect(throws: BucketError.self) { try await discovery.list(.root) }
        #expect(try session.tree.node(.root)?.listed == listed)
        #expect(wanted.subtracting(try session.names()).count == 0)
        #expect(store.underWay == 0)
        try await discovery.list(.root)
        try expectNames(session, wanted.union(["new"]))
        await session.die()
    }

    /// What is made, removed and changed here while the pages come stays so.
    @Test func whatHappensHereMeanwhileCounts() async throws {
        let session = try await bench.open()
        let discovery = discovery(session)
        try await discovery.list(.root)
        bench.store.inject(.stall(milliseconds: 200), on: .list, times: 1_000)
        let listing = Task { try await discovery.list(.root) }
        var wanted = wanted
        for number in stride(from: 1, to: Self.count, by: 501) where number % 100 != 0 {
            let name = Self.name(number).description
            try session.make("made \(number)", "here")
            try session.unlink(name)
            wanted.insert("made \(number)")
            wanted.remove(name)
            await SystemTime().sleep(milliseconds: 5)
        }
        try await listing.value
        try await session.drain()
        try expectNames(session, wanted)
        try await discovery.list(.root)
        try expectNames(session, wanted)
        await session.die()
    }
}

/// Counts listings on their way, and may not do what `ListPosition.after` asks for.
private final class Server: Interceptor {
    enum Manner { case obeys, ignores, refuses }

    struct Call {
        let isAfterKey: Bool
    }

    private struct State {
        var calls: [Call] = []
        var underWay = 0
        var most = 0
    }

    let store: any ObjectStore
    let manner = Lock(Manner.obeys)
    private let state = Lock(State())

    init(_ store: any ObjectStore) { self.store = store }

    var calls: [Call] { state.withLock { $0.calls } }
    var underWay: Int { state.withLock { $0.underWay } }
    /// The most that were on their way at a time.
    var most: Int { state.withLock { $0.most } }
    func forget() { state.withLock { $0 = State() } }

    func intercept<Answer: Sendable>(
        _ call: LayerCall, _ perform: @Sendable () async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer { try await perform() }

    func list(
        prefix: ByteString, delimited: Bool, from: ListPosition?, limit: Int
    ) async throws(StoreError) -> ListPage {
        var isAfterKey = false
        if case .after? = from { isAfterKey = true }
        state.withLock { [isAfterKey] state in
            state.calls.append(Call(isAfterKey: isAfterKey))
            state.underWay += 1
            state.most = max(state.most, state.underWay)
        }
        defer { state.withLock { $0.underWay -= 1 } }
        let manner = manner.withLock { $0 }
        if isAfterKey, manner == .refuses { throw StoreError(.unsupported, "list") }
        let heard = isAfterKey && manner == .ignores ? nil : from
        return try await store.list(prefix: prefix, delimited: delimited, from: heard, limit: limit)
    }
}
