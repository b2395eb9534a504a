import BlockCache
import FileSystem
import Glibc
import Layers
import MemoryStore
import ObjectStore
import Primitives
import Reconciling
import Telemetry
import Tree

/// A file system over a bucket in memory and a cache directory on the disk, without a kernel. Nothing is uploaded and
/// nothing listed again while it is measured.
final class Mounted {
    static let neverMilliseconds: Int64 = 24 * 3_600_000

    let fs: FileSystem
    let cache: BlockCache
    let caller = Caller(user: 0, group: 0)
    private let reconciler: Reconciler

    init(_ bucket: MemoryStore, directory: String) throws {
        let time = SystemTime()
        let store = Retrying(bucket, policy: RetryPolicy(attempts: 2, baseMilliseconds: 1, ceilingMilliseconds: 2))
        let tree = try Tree(
            path: directory + "/tree.db", defaults: .init(user: 0, group: 0), newCacheID: "microbench",
            now: time.now())
        var settings = BlockCache.Settings(directory: directory)
        settings.reserveBytes = 0
        cache = try BlockCache(settings: settings)
        let recovered = try Recovery.run(tree: tree, cache: cache, trustClean: true, log: .silent)
        let fetcher = Fetcher(cache: cache, store: store)
        var discovering = Discovery.Settings()
        discovering.refreshMilliseconds = Self.neverMilliseconds
        let discovery = Discovery(tree: tree, store: store, settings: discovering, time: time, log: .silent)
        var reconciling = Reconciler.Settings()
        reconciling.delayMilliseconds = Self.neverMilliseconds
        reconciler = Reconciler(
            tree: tree, cache: cache, store: store, fetcher: fetcher, discovery: discovery, settings: reconciling,
            time: time, log: .silent, seed: 1, unsettled: recovered.unsettled)
        fs = FileSystem(
            tree: tree, cache: cache, fetcher: fetcher, discovery: discovery, reconciler: reconciler,
            settings: FileSystem.Settings(), time: time, log: .silent)
        reconciler.start(afterCrash: false)
    }

    /// Runs an operation until it needs nothing any more.
    func run<Result>(_ body: () throws(Failure) -> Result) async throws -> Result {
        while true {
            do throws(Failure) {
                return try body()
            } catch {
                switch error {
                case .errno(let errno): throw errno
                case .need(let need): try await fs.satisfy(need)
                }
            }
        }
    }

    /// A name's node and an open descriptor of it.
    func open(_ name: String, flags: Int32) async throws -> (node: NodeID, handle: HandleID) {
        let node = try await node(name)
        let opened = try await run { () throws(Failure) in try fs.open(node, flags: flags, caller) }
        return (node, opened.handle)
    }

    func node(_ name: String) async throws -> NodeID {
        try await run { () throws(Failure) in try fs.lookup(.root, ByteString(name)) }.attributes.node
    }

    /// Reads all of `range` once, so that it is here.
    func fetch(_ handle: HandleID, _ range: ByteRange) async throws {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(range.length), alignment: 4096)
        defer { room.deallocate() }
        _ = try await run { () throws(Failure) in try fs.read(handle, offset: range.lowerBound, into: room) }
    }

    func stop() async { await reconciler.stop() }
}
