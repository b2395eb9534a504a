import BlockCache
import FileSystem
import Layers
import LocalDatabase
import ObjectStore
import Primitives
import Reconciling
import Telemetry
import Tree

/// One process: the mount's parts, without a kernel, on the world's disk.
final class Life {
    struct Leaked: Error, CustomStringConvertible {
        let description = "parts of a dead process are still held"
    }

    let tree: Tree
    let cache: BlockCache
    let reconciler: Reconciler
    let fs: FileSystem
    /// Little, so that deaths come at commits, too.
    private static let redoBytes = 16 << 10

    private let world: World
    private var tasks: [Task<Void, Never>] = []

    /// Opens what the last one left and recovers it. The work in the background begins with `start`.
    init(_ world: World, after crash: Crash?, seed: UInt64) throws {
        self.world = world
        let time = world.scheduler.time
        let path = world.disk.root + "/tree.db"
        if crash != nil, world.plant == .forgottenName { try Life.forgetName(path) }
        let isPlanted = world.plant == .forgottenCondition || world.plant == .halfUpload
        let faulty: any ObjectStore =
            isPlanted ? PlantedStore(store: world.faulty, plant: world.plant!) : world.faulty
        let store = Retrying(
            Lifeline(faulty, world), policy: RetryPolicy(attempts: 2, baseMilliseconds: 50, ceilingMilliseconds: 200),
            time: time, seed: seed)
        let sink = LogSink.none
        let log = Log(level: .error, sink: sink)
        tree = try Tree(
            path: path, defaults: Tree.Defaults(user: 1_000, group: 1_000), newCacheID: "cache\(seed)", now: time.now(),
            redoBytes: Life.redoBytes)
        var cacheSettings = BlockCache.Settings(directory: world.disk.root)
        cacheSettings.reserveBytes = 0
        cacheSettings.limitBytes = world.conditions.cacheBytes
        cacheSettings.maximumDirtyBytes = world.conditions.cacheBytes / 5 * 4
        cache = try BlockCache(settings: cacheSettings, time: time, log: log)
        let recovered = try Recovery.run(tree: tree, cache: cache, trustClean: crash != .powerLoss, log: log)
        let fetcher = Fetcher(cache: cache, store: store, time: time)
        var discovering = Discovery.Settings()
        discovering.refreshMilliseconds = world.conditions.refreshMilliseconds
        discovering.pageEntries = world.conditions.pageEntries
        let discovery = Discovery(tree: tree, store: store, settings: discovering, time: time, log: log)
        reconciler = Reconciler(
            tree: tree, cache: cache, store: store, fetcher: fetcher, discovery: discovery,
            settings: Life.reconcilerSettings(world.conditions), time: time, log: log, seed: seed,
            unsettled: recovered.unsettled)
        var settings = FileSystem.Settings()
        settings.syncsToBucket = world.conditions.syncsToBucket
        fs = FileSystem(
            tree: tree, cache: cache, fetcher: fetcher, discovery: discovery, reconciler: reconciler,
            settings: settings, time: time, log: log)
    }

    func start(after crash: Crash?) { reconciler.start(afterCrash: crash != nil) }

    private static func reconcilerSettings(_ conditions: World.Conditions) -> Reconciler.Settings {
        var settings = Reconciler.Settings()
        settings.delayMilliseconds = conditions.uploadDelayMilliseconds
        settings.concurrency = conditions.uploadsAtOnce
        settings.refusedMilliseconds = 500
        settings.earlyBytes = 2 * World.partBytes
        settings.retry = RetryPolicy(attempts: .max, baseMilliseconds: 20, ceilingMilliseconds: 500)
        return settings
    }

    /// The planted bug: the first name with work is taken off the list.
    private static func forgetName(_ path: String) throws {
        let database = try Database(path: path)
        try database.transaction { connection throws(DatabaseError) in
            try? connection.run("UPDATE names SET work = 0 WHERE id = (SELECT MIN(id) FROM names WHERE work = 1)")
        }
    }

    /// Begins a task that ends, or is cancelled, with the process.
    func begin(_ body: @escaping @Sendable () async -> Void) { tasks.append(Task { await body() }) }

    /// Ends what goes on in the background.
    func end() throws {
        for task in tasks { task.cancel() }
        tasks = []
        final class Ended: @unchecked Sendable { var isTrue = false }
        let ended = Ended()
        Task { [reconciler] in
            await reconciler.stop()
            ended.isTrue = true
        }
        try world.scheduler.run("stopping the reconciler") { ended.isTrue }
    }
}
