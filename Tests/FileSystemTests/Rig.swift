import FileSystem
import Foundation
import Layers
import MemoryStore
import ObjectStore
import Primitives
import Telemetry

@testable import BlockCache
@testable import Reconciling
@testable import Tree

/// A file system over an in-memory bucket and a real cache directory, without a kernel. It can be killed: then all
/// objects are dropped without a word, and `restart` opens the same directory again.
final class Rig: @unchecked Sendable {
    let bucket: MemoryStore
    let faulty: FaultyStore
    let directory: String
    private(set) var tree: Tree!
    private(set) var cache: BlockCache!
    private(set) var reconciler: Reconciler!
    private(set) var fs: FileSystem!
    let caller = Caller(user: 1_000, group: 1_000)
    private let configure: (inout FileSystem.Settings) -> Void
    private let refreshMilliseconds: Int64
    private let cacheLimit: (bytes: Int64, dirtyBytes: Int64)?

    init(
        bucket: MemoryStore = MemoryStore(), seed: UInt64 = 1, refreshMilliseconds: Int64 = 60_000,
        cacheLimit: (bytes: Int64, dirtyBytes: Int64)? = nil,
        configure: @escaping (inout FileSystem.Settings) -> Void = { _ in }
    ) throws {
        self.bucket = bucket
        self.configure = configure
        self.refreshMilliseconds = refreshMilliseconds
        self.cacheLimit = cacheLimit
        faulty = FaultyStore(bucket, seed: seed)
        directory = NSTemporaryDirectory() + "pail-fs-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try assemble(trustClean: true, afterCrash: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    private func assemble(trustClean: Bool, afterCrash: Bool) throws {
        let time = SystemTime()
        let log =
            ProcessInfo.processInfo.environment["PAIL_LOG"] == nil
            ? Log.silent : Log(level: .debug, sink: .standardError)
        let store = Retrying(faulty, policy: RetryPolicy(attempts: 2, baseMilliseconds: 1, ceilingMilliseconds: 2))
        tree = try openTree()
        var cacheSettings = BlockCache.Settings(directory: directory)
        cacheSettings.reserveBytes = 0
        if let cacheLimit { (cacheSettings.limitBytes, cacheSettings.maximumDirtyBytes) = cacheLimit }
        cache = try BlockCache(settings: cacheSettings)
        let recovered = try Recovery.run(tree: tree, cache: cache, trustClean: trustClean, log: log)
        let fetcher = Fetcher(cache: cache, store: store)
        var discoverySettings = Discovery.Settings()
        discoverySettings.refreshMilliseconds = refreshMilliseconds
        let discovery = Discovery(tree: tree, store: store, settings: discoverySettings, time: time, log: log)
        var reconcilerSettings = Reconciler.Settings()
        reconcilerSettings.delayMilliseconds = 2
        reconcilerSettings.settleMilliseconds = 5
        reconcilerSettings.refusedMilliseconds = 50
        reconcilerSettings.retry = RetryPolicy(attempts: .max, baseMilliseconds: 1, ceilingMilliseconds: 20)
        reconciler = Reconciler(
            tree: tree, cache: cache, store: store, fetcher: fetcher, discovery: discovery,
            settings: reconcilerSettings, time: time, log: log, seed: 7, unsettled: recovered.unsettled)
        var settings = FileSystem.Settings()
        configure(&settings)
        fs = FileSystem(
            tree: tree, cache: cache, fetcher: fetcher, discovery: discovery, reconciler: reconciler,
            settings: settings, time: time, log: log)
        reconciler.start(afterCrash: afterCrash)
    }

    /// Opens the tree. The last life's database may still be closing.
    private func openTree() throws -> Tree {
        var tries = 0
        while true {
            do {
                let check = try TreeCheck(path: directory + "/tree.db", thorough: true, afterPowerLoss: false)
                guard check.faults.isEmpty else { throw DamagedTree(faults: check.faults) }
                return try Tree(
                    path: directory + "/tree.db", defaults: .init(user: 1_000, group: 1_000),
                    newCacheID: UUID().uuidString, now: SystemTime().now())
            } catch {
                tries += 1
                if tries == 500 || error is DamagedTree { throw error }
                usleep(10_000)
            }
        }
    }

    /// Ends this life as kill -9 would: requests that are under way may or may not be carried out.
    /// - Parameter losing: files of which nothing that was written reached the disk.
    func kill(powerLoss: Bool = false, losing: [String] = []) async throws {
        var lost: [String] = []
        for path in losing { lost.append(cache.path(of: try await node(path).raw)) }
        faulty.unplug()
        try await drop()
        for path in lost { try FileManager.default.removeItem(atPath: path) }
        faulty.plug()
        try assemble(trustClean: !powerLoss, afterCrash: true)
    }

    /// Ends this life in order.
    func restart() async throws {
        try await drop()
        try assemble(trustClean: true, afterCrash: false)
    }

    private func drop() async throws {
        await reconciler.stop()
        weak let old = tree
        fs = nil
        reconciler = nil
        cache = nil
        tree = nil
        // Tasks in the background may hold it a little longer.
        for _ in 0..<10_000 where old != nil { try await Task.sleep(nanoseconds: 1_000_000) }
        guard old == nil else { throw Overdue() }
    }

    /// Runs an operation until it needs nothing any more.
    func run<Result>(_ body: (FileSystem) throws(Failure) -> Result) async throws -> Result {
        for _ in 0..<1_000 {
            do throws(Failure) {
                return try body(fs)
            } catch {
                switch error {
                case .errno(let errno): throw errno
                case .need(let need): try await fs.satisfy(need)
                }
            }
        }
        throw Errno(ELOOP)
    }

    // MARK: whole actions by path

    func node(_ path: String) async throws -> NodeID {
        var place = NodeID.root
        for part in path.split(separator: "/") {
            let parent = place
            place = try await run { fs throws(Failure) in try fs.lookup(parent, ByteString(part)) }.attributes.node
            fs.forget(place, 1)
        }
        return place
    }

    func parent(_ path: String) async throws -> (NodeID, ByteString) {
        let parts = path.split(separator: "/")
        return (try await node(parts.dropLast().joined(separator: "/")), ByteString(parts.last ?? ""))
    }

    func write(_ path: String, _ bytes: [UInt8], at offset: Int64 = 0, truncate: Bool = true) async throws {
        let (parent, name) = try await parent(path)
        let flags = O_RDWR | (truncate ? O_TRUNC : 0)
        let (entry, opened) = try await run { fs throws(Failure) in
            try fs.create(parent, name, mode: 0o644, flags: flags, self.caller)
        }
        fs.forget(entry.attributes.node, 1)
        try await write(opened.handle, bytes, at: offset)
        try await close(opened.handle)
    }

    func write(_ handle: HandleID, _ bytes: [UInt8], at offset: Int64) async throws {
        guard !bytes.isEmpty else { return }
        _ = try await run { fs throws(Failure) in
            let count = bytes.count
            let room = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
            defer { room.deallocate() }
            room.copyBytes(from: bytes)
            return try fs.write(handle, offset: offset, from: UnsafeRawBufferPointer(room), killPrivileges: false)
        }
    }

    func close(_ handle: HandleID) async throws {
        try await run { fs throws(Failure) in try fs.flush(handle, lockOwner: 0) }
        try await run { fs throws(Failure) in try fs.release(handle) }
    }

    func read(_ path: String) async throws -> [UInt8] {
        let node = try await node(path)
        let opened = try await run { fs throws(Failure) in try fs.open(node, flags: O_RDONLY, self.caller) }
        let size = try await run { fs throws(Failure) in try fs.attributes(node, handle: nil) }.sizeBytes
        let bytes = try await read(opened.handle, ByteRange(offset: 0, length: size + 10))
        try await close(opened.handle)
        return bytes
    }

    func read(_ handle: HandleID, _ range: ByteRange) async throws -> [UInt8] {
        try await run { fs throws(Failure) in
            let room = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(range.length), alignment: 1)
            defer { room.deallocate() }
            let count = try fs.read(handle, offset: range.lowerBound, into: room)
            return Array(room[0..<count])
        }
    }

    func makeDirectory(_ path: String) async throws {
        let (parent, name) = try await parent(path)
        let entry = try await run { fs throws(Failure) in try fs.makeDirectory(parent, name, mode: 0o755, self.caller) }
        fs.forget(entry.attributes.node, 1)
    }

    func remove(_ path: String) async throws {
        let (parent, name) = try await parent(path)
        try await run { fs throws(Failure) in try fs.unlink(parent, name, self.caller) }
    }

    func removeDirectory(_ path: String) async throws {
        let (parent, name) = try await parent(path)
        try await run { fs throws(Failure) in try fs.removeDirectory(parent, name, self.caller) }
    }

    func rename(_ path: String, _ newPath: String, flags: UInt32 = 0) async throws {
        let (parent, name) = try await parent(path)
        let (newParent, newName) = try await self.parent(newPath)
        try await run { fs throws(Failure) in
            try fs.rename(parent, name, to: newParent, newName, flags: flags, self.caller)
        }
    }

    func list(_ path: String) async throws -> [String] {
        let node = try await node(path)
        let handle = try await run { fs throws(Failure) in try fs.openDirectory(node, self.caller).handle }
        let names = try await run { fs throws(Failure) in
            var names: [String] = []
            try fs.readDirectory(handle, offset: 0, plus: false) { entry in
                names.append(entry.name.description)
                return true
            }
            return names
        }
        try await run { fs throws(Failure) in try fs.releaseDirectory(handle) }
        return names.sorted()
    }

    func attributes(_ path: String) async throws -> Attributes {
        let node = try await node(path)
        return try await run { fs throws(Failure) in try fs.attributes(node, handle: nil) }
    }

    /// Waits until the bucket has everything. Throws what is left after `seconds`.
    func drain(seconds: Double = 20) async throws {
        let task = Task { try await reconciler.drain() }
        let alarm = Task {
            try await Task.sleep(nanoseconds: UInt64(seconds * 1e9))
            task.cancel()
        }
        try await task.value
        alarm.cancel()
        let status = try reconciler.status()
        guard status.backlog.isEmpty else { throw Stuck(status: status, steps: try steps()) }
    }

    struct Stuck: Error, CustomStringConvertible {
        let status: ReconcileStatus
        let steps: [String]
        var description: String { "not drained: \(status)\n\(steps.joined(separator: "\n"))" }
    }

    /// What the reconciler would do next about each name, and which keys it would delete.
    private func steps() throws -> [String] {
        let names = try tree.namesWithWork(after: NameID(0), limit: 20).compactMap { try tree.situation(of: $0) }
        let keys = try tree.leftovers(limit: 20).map { "delete \($0) \(String(describing: try tree.held(at: $0)))" }
        let queue = reconciler.state.withLock { "\($0.queue) busy \($0.busy) \($0.busyWork) again \($0.again)" }
        return names.map { "\(Step.next($0)): \($0)" } + keys + [queue]
    }

    /// The bucket's files and their bytes; directories' markers are left out.
    func objects() -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for object in bucket.snapshot() where !object.info.key.description.hasSuffix("/") {
            files[object.info.key.description] = object.bytes
        }
        return files
    }
}

/// Whether `body` failed with this errno.
func fails(_ code: Int32, _ body: () async throws -> Void) async -> Bool {
    do {
        try await body()
        return false
    } catch let error as Errno {
        return error.code == code
    } catch {
        return false
    }
}

/// A check of the tree, such as each start of a daemon makes, found something in a tree that nobody damaged.
struct DamagedTree: Error {
    var faults: [String]
}
