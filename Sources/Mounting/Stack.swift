import BlockCache
import Configuration
import FileSystem
import FuseBridge
import Glibc
import ObjectStore
import Primitives
import Reconciling
import Telemetry
import Tree

/// One mount, assembled: the only place that knows which parts there are. Encryption and deduplication will be layers
/// of `Backend`.
final class Stack: Sendable {
    let backend: Backend
    let tree: Tree
    let cache: BlockCache
    let reconciler: Reconciler
    let fileSystem: FileSystem
    let disk: ContentDisk
    /// Files whose changes an earlier run had not uploaded.
    let recovered: Recovered
    /// Files with changes that could only be kept apart, for who mounts.
    let notice: String?
    private let log: Log
    private let committing = Lock<Task<Void, Never>?>(nil)

    /// Opens what is in the cache directory and recovers what the last daemon left. Hold the cache's lock.
    init(
        _ configuration: MountConfiguration, _ directory: CacheDirectory, _ identity: CacheIdentity,
        backend: Backend, prior: PriorStop, references: KernelReferences, log: Log
    ) throws(MountFailure) {
        self.backend = backend
        self.log = log
        let time = SystemTime()
        let defaults = Tree.Defaults(
            user: configuration.user ?? getuid(), group: configuration.group ?? getgid(),
            fileMode: configuration.fileMode, directoryMode: configuration.directoryMode)
        let lostBefore = Directory.entries(directory.lostAndFound)?.count ?? 0
        do {
            tree = try Tree(path: directory.database, defaults: defaults, newCacheID: identity.id, now: time.now())
            // Trying what the disk can do takes time, and is of use for that alone.
            disk = configuration.passthrough ? try ContentDisk(of: directory.path) : ContentDisk()
            cache = try BlockCache(settings: Self.cacheSettings(configuration, directory, disk), log: log)
            recovered = try Recovery.run(
                tree: tree, cache: cache, trustClean: prior != .powerLost, isOpen: { references[$0] }, log: log)
        } catch {
            throw MountFailure(.cache, "cache directory \(directory.path): \(error)")
        }
        let lost = (Directory.entries(directory.lostAndFound)?.count ?? 0) - lostBefore
        notice =
            lost > 0
            ? "changed files whose place or state in the cache was damaged are kept in \(directory.lostAndFound); "
                + "pail cache export saves them" : nil
        var fetching = FetchSettings()
        fetching.concurrency = configuration.concurrency.fetches
        let fetcher = Fetcher(cache: cache, store: backend.store, settings: fetching, time: time)
        var discovering = Discovery.Settings()
        discovering.refreshMilliseconds = configuration.refreshMilliseconds
        let discovery = Discovery(tree: tree, store: backend.store, settings: discovering, time: time, log: log)
        reconciler = Reconciler(
            tree: tree, cache: cache, store: backend.store, fetcher: fetcher, discovery: discovery,
            settings: Self.reconcilerSettings(configuration), time: time, log: log, seed: UInt64.random(in: 0...(.max)),
            unsettled: recovered.unsettled)
        fileSystem = FileSystem(
            tree: tree, cache: cache, fetcher: fetcher, discovery: discovery, reconciler: reconciler,
            settings: Self.fileSystemSettings(configuration), time: time, log: log, references: references)
        fileSystem.resume()
    }

    func start(prior: PriorStop) {
        reconciler.start(afterCrash: prior != .clean)
        let commits = Task { [tree, log] in
            while !Task.isCancelled {
                await SystemTime().sleep(milliseconds: Self.commitMilliseconds)
                do { try tree.commit() } catch { log.error("mount", "the tree can't be committed: \(error)") }
            }
        }
        committing.withLock { $0 = commits }
    }

    /// Between commits of the tree: names of a damaged cache are found in its database only.
    private static let commitMilliseconds: Int64 = 1_000

    /// Ends the work in the background and puts everything on the disk. Nothing may call the file system any more.
    func close() async {
        committing.withLock { $0 }?.cancel()
        await reconciler.stop()
        do {
            try tree.makeDurable()
        } catch {
            log.error("mount", "the tree can't be synced: \(error)")
        }
        backend.shutdown()
    }

    /// Returns when the bucket has everything, or the file at `path` (a directory counts as everything); or when the
    /// task is cancelled. What fails is tried again until then.
    func flush(path: String?) async {
        fileSystem.lookAtAll()
        while !Task.isCancelled {
            do {
                if let path, let node = try file(at: path) {
                    try await reconciler.drain(node)
                } else {
                    try await reconciler.drain()
                }
                return
            } catch {
                await SystemTime().sleep(milliseconds: Self.retryMilliseconds)
            }
        }
    }

    private static let retryMilliseconds: Int64 = 500

    /// nil for what is no file.
    private func file(at path: String) throws(TreeError) -> NodeID? {
        var directory = NodeID.root
        let parts = ByteString(path).split(separator: UInt8(ascii: "/"))
        for (index, part) in parts.enumerated() {
            guard let found = try tree.find(directory, part) else { return nil }
            if index == parts.count - 1 { return found.node.isDirectory ? nil : found.node.id }
            directory = found.node.id
        }
        return nil
    }

    /// What is not in the bucket yet.
    func progress() -> Progress {
        do {
            let status = try reconciler.status()
            let files = Int(status.backlog.names + status.backlog.leftovers)
            return Progress(
                files: files, bytes: status.backlog.bytes, trouble: files > 0 ? status.lastError ?? "" : "")
        } catch {
            return Progress(files: 1, bytes: 0, trouble: "\(error)")
        }
    }

    /// Bytes of content uploaded since the start.
    var uploadedBytes: Int64 { (try? reconciler.status().uploadedBytes) ?? 0 }

    private static func cacheSettings(
        _ configuration: MountConfiguration, _ directory: CacheDirectory, _ disk: ContentDisk
    ) -> BlockCache.Settings {
        var settings = BlockCache.Settings(directory: directory.path)
        settings.limitBytes = configuration.cache.limitBytes
        settings.reserveBytes = configuration.cache.reserveBytes
        if let tick = disk.tickMilliseconds { settings.tickMilliseconds = tick }
        settings.writeBack = disk.writeBack
        // Some room must stay for what is read while everything else waits for its upload.
        settings.maximumDirtyBytes = configuration.cache.maximumDirtyBytes ?? configuration.cache.limitBytes * 4 / 5
        return settings
    }

    private static func reconcilerSettings(_ configuration: MountConfiguration) -> Reconciler.Settings {
        var settings = Reconciler.Settings()
        settings.delayMilliseconds = configuration.uploadDelayMilliseconds
        settings.concurrency = configuration.concurrency.uploads
        settings.hostName = hostName
        return settings
    }

    private static func fileSystemSettings(_ configuration: MountConfiguration) -> FileSystem.Settings {
        var settings = FileSystem.Settings()
        settings.nameMilliseconds = configuration.refreshMilliseconds
        settings.syncsToBucket = configuration.sync == .remote
        settings.isReadOnly = configuration.readOnly
        settings.keepsDirectories = KernelRelease.current?.readsKeptDirectories ?? false
        // Keys travel in URLs and XML, which hold characters only; file names of Linux are bytes.
        if case .s3? = configuration.bucket { settings.requiresUTF8 = true }
        return settings
    }

    private static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "pail" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
