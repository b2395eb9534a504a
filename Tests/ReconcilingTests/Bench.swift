import Foundation
import MemoryStore
import ObjectStore
import Primitives
import Telemetry
import Testing

@testable import BlockCache
@testable import Reconciling
@testable import Tree

/// A clock that runs faster than the real one, so that waits in tests are short.
struct FastTime: TimeSource {
    static let factor: Int64 = 50

    func now() -> Timestamp { SystemTime().now() }
    func monotonic() -> Timestamp { Timestamp(nanoseconds: SystemTime().monotonic().nanoseconds &* Self.factor) }

    func sleep(milliseconds: Int64) async {
        let nanoseconds = max(0, milliseconds) * 1_000_000 / Self.factor
        try? await Task.sleep(nanoseconds: UInt64(nanoseconds))
    }
}

/// A bucket and a cache directory, on which sessions are opened one after the other.
final class Bench: Sendable {
    struct Settings: Sendable {
        var capabilities = StoreCapabilities()
        var delayMilliseconds: Int64 = 20
        var concurrency = 4
        var seed: UInt64 = 1
        /// The length of the parts in which files are sent ahead, from four of them on; nil: none is.
        var earlyPartBytes: Int64?
    }

    let directory: String
    let memory: MemoryStore
    let store: FaultyStore
    let settings: Settings
    let log = LogMemory()
    private let notes = Lock([String]())
    private let began = SystemTime().monotonic()

    init(_ settings: Settings = Settings()) throws {
        self.settings = settings
        directory = Bench.temporary + "/pail-reconciling-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        memory = MemoryStore(capabilities: settings.capabilities, startedPartBytes: settings.earlyPartBytes)
        store = FaultyStore(memory, seed: settings.seed, time: FastTime())
    }

    /// What happened so far, for a failing random test.
    var history: [String] { notes.withLock { $0 } }
    func note(_ line: String) {
        let milliseconds = SystemTime().monotonic().milliseconds(since: began)
        notes.withLock { $0.append("\(milliseconds) \(line)") }
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    /// In memory where that is possible: none of this is about power loss, and syncing a busy disk takes long.
    private static let temporary =
        FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()

    /// Opens the directory, waiting a while for a former session to let go of it.
    /// - Parameter place: which cache; each is another machine.
    func open(
        _ place: String = "", afterCrash: Bool = false, starts: Bool = true, trustClean: Bool = true
    ) async throws -> Session {
        for attempt in 0... {
            do {
                return try Session(self, place, afterCrash: afterCrash, starts: starts, trustClean: trustClean)
            } catch let error as TreeError {
                guard case .database(let cause) = error, cause.isBusy, attempt < 2_000 else { throw error }
                await SystemTime().sleep(milliseconds: 2)
            }
        }
        throw CancellationError()
    }

    /// The bucket's objects by their keys.
    var bucket: [String: String] {
        var found: [String: String] = [:]
        for object in memory.snapshot() {
            found[object.info.key.description] = String(decoding: object.bytes, as: UTF8.self)
        }
        return found
    }

    func metadata(_ key: ByteString) -> Metadata { memory.object(key)?.info.metadata ?? [:] }
}

/// A run of the daemon, without a kernel: its parts, and what the file system does with them.
final class Session: Sendable {
    let tree: Tree
    let cache: BlockCache
    let lifeline: Lifeline
    let fetcher: Fetcher
    let discovery: Discovery
    let reconciler: Reconciler
    let recovered: Recovered

    init(_ bench: Bench, _ place: String, afterCrash: Bool, starts: Bool, trustClean: Bool) throws {
        let time = FastTime()
        let directory = bench.directory + "/machine" + place
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let log = Log(level: .debug, sink: .memory(bench.log))
        let check = try TreeCheck(path: bench.directory + "/tree", thorough: true, afterPowerLoss: false)
        #expect(check.faults.isEmpty, "what starts check finds something in a tree that nobody damaged")
        tree = try Tree(
            path: directory + "/tree", defaults: Tree.Defaults(user: 1, group: 2), newCacheID: "bench" + place,
            now: time.now())
        cache = try BlockCache(settings: BlockCache.Settings(directory: directory + "/cache"), log: log)
        recovered = try Recovery.run(tree: tree, cache: cache, trustClean: trustClean, log: log)
        lifeline = Lifeline(bench.store) { [weak bench] in bench?.note($0) }
        fetcher = Fetcher(cache: cache, store: lifeline, time: time)
        discovery = Discovery(tree: tree, store: lifeline, settings: Discovery.Settings(), time: time, log: log)
        var settings = Reconciler.Settings()
        settings.delayMilliseconds = bench.settings.delayMilliseconds
        settings.concurrency = bench.settings.concurrency
        settings.settleMilliseconds = 50
        if let part = bench.settings.earlyPartBytes { settings.earlyBytes = 4 * part }
        settings.retry = RetryPolicy(attempts: .max, baseMilliseconds: 5, ceilingMilliseconds: 100)
        settings.refusedMilliseconds = 100
        reconciler = Reconciler(
            tree: tree, cache: cache, store: lifeline, fetcher: fetcher, discovery: discovery, settings: settings,
            time: time, log: log, seed: bench.settings.seed, unsettled: recovered.unsettled)
        if starts { reconciler.start(afterCrash: afterCrash) }
    }

    /// Ends the session as kill -9 would: at once, with whatever was under way.
    func die() async {
        lifeline.cut()
        await reconciler.stop()
    }

    /// Looks at all that the bucket has, as `ls -lR` does.
    func lookAtAll(_ directory: NodeID = .root) async throws {
        try await discovery.list(directory)
        for found in try tree.children(of: directory, after: NameID(0), limit: 1_000) {
            try await discovery.attributes(found.node.id)
            if found.node.isDirectory { try await lookAtAll(found.node.id) }
        }
    }

    // MARK: what a file system does

    func directory(_ path: String) throws -> NodeID {
        var place = NodeID.root
        for part in path.split(separator: "/") {
            guard let found = try tree.find(place, ByteString(part)) else { throw TreeError.notFound }
            place = found.node.id
        }
        return place
    }

    /// The directory and the last part of a path.
    func place(_ path: String) throws -> (NodeID, ByteString) {
        let parts = path.split(separator: "/")
        return (try directory(parts.dropLast().joined(separator: "/")), ByteString(parts[parts.count - 1]))
    }

    func find(_ path: String) throws -> Found? {
        let (parent, name) = try place(path)
        return try tree.find(parent, name)
    }

    func node(_ path: String) throws -> Node {
        guard let found = try find(path) else { throw TreeError.notFound }
        return found.node
    }

    func template(_ mode: UInt32) -> Node {
        let now = SystemTime().now()
        return Node(id: NodeID(0), mode: mode, user: 1000, group: 1000, accessed: now, modified: now, changed: now)
    }

    @discardableResult
    func make(_ path: String, _ text: String) throws -> NodeID {
        let (parent, name) = try place(path)
        let made = try tree.make(parent, name, template(0o100644), now: SystemTime().now())
        _ = try cache.create(made.node.id.raw)
        if !text.isEmpty { try write(made.node.id, text) }
        return made.node.id
    }

    /// Replaces the content.
    func write(_ id: NodeID, _ text: String) throws {
        guard let node = try tree.node(id) else { throw TreeError.notFound }
        let file = try content(node)
        try file.truncate(to: 0)
        try write(Array(text.utf8), to: file, at: 0)
        try tree.touchContent(id)
        try close(id, file)
    }

    /// Overwrites or appends; what is missing at the edges is fetched.
    func change(_ id: NodeID, _ bytes: [UInt8], at offset: Int64) async throws {
        guard let node = try tree.node(id) else { throw TreeError.notFound }
        let file = try content(node)
        while case .missing(let range) = try write(bytes, to: file, at: offset) {
            try await fetch(file, range, node)
        }
        try tree.touchContent(id)
        try close(id, file)
    }

    private func close(_ id: NodeID, _ file: CachedFile) throws {
        try tree.settle(id, sizeBytes: file.sizeBytes, modified: file.modified, changed: file.modified)
    }

    func content(_ node: Node) throws -> CachedFile {
        if let file = cache.existing(node.id.raw) { return file }
        return try cache.open(node.id.raw, originBytes: node.origin?.sizeBytes ?? 0)
    }

    @discardableResult
    func write(_ bytes: [UInt8], to file: CachedFile, at offset: Int64) throws -> WriteOutcome {
        let result = bytes.withUnsafeBytes { buffer in Result { try file.write(buffer, at: offset) } }
        return try result.get()
    }

    func fetch(_ file: CachedFile, _ range: ByteRange, _ node: Node) async throws {
        let origin = node.origin.map { ObjectSource(key: $0.key, etag: $0.etag, sizeBytes: $0.sizeBytes) }
        guard let origin else { throw TreeError.notFound }
        try await fetcher.fetch(file, range, origin: origin)
    }

    func read(_ path: String) async throws -> String {
        guard var node = try find(path)?.node else { throw TreeError.notFound }
        let file = try content(node)
        var bytes = [UInt8](repeating: 0, count: Int(file.sizeBytes))
        while true {
            let result = bytes.withUnsafeMutableBytes { buffer in Result { try file.read(into: buffer, at: 0) } }
            guard case .missing(let range) = try result.get() else { return String(decoding: bytes, as: UTF8.self) }
            node = try tree.node(node.id) ?? node
            try await fetch(file, range, node)
        }
    }

    @discardableResult
    func makeDirectory(_ path: String) throws -> NodeID {
        let (parent, name) = try place(path)
        return try tree.make(parent, name, template(0o040755), now: SystemTime().now()).node.id
    }

    func symlink(_ path: String, to target: String) throws {
        let (parent, name) = try place(path)
        var node = template(0o120777)
        node.target = ByteString(target)
        node.sizeBytes = Int64(target.utf8.count)
        _ = try tree.make(parent, name, node, now: SystemTime().now())
    }

    func link(_ path: String, to new: String) throws {
        let (parent, name) = try place(new)
        _ = try tree.link(try node(path).id, parent, name, now: SystemTime().now())
    }

    func rename(_ path: String, to new: String) throws {
        let (parent, name) = try place(path)
        let (newParent, newName) = try place(new)
        let replaced = try tree.rename(
            parent, name, to: newParent, newName, noReplace: false, now: SystemTime().now())
        if let replaced { try forget(replaced) }
    }

    func exchange(_ path: String, with other: String) throws {
        let (parent, name) = try place(path)
        let (otherParent, otherName) = try place(other)
        try tree.exchange(parent, name, with: otherParent, otherName, now: SystemTime().now())
    }

    func unlink(_ path: String) throws {
        let (parent, name) = try place(path)
        try forget(try tree.unlink(parent, name, now: SystemTime().now()))
    }

    func removeDirectory(_ path: String) throws {
        let (parent, name) = try place(path)
        try forget(try tree.removeDirectory(parent, name, now: SystemTime().now()))
    }

    private func forget(_ removed: Removed) throws {
        guard removed.isOrphan else { return }
        for id in try tree.forgetOrphans([removed.node.id]) { cache.remove(id.raw) }
    }

    func chmod(_ path: String, _ mode: UInt32) throws {
        try tree.update(try node(path).id, forBucket: true) { $0.mode = $0.mode & 0o170000 | mode }
    }

    func names(_ path: String = "") throws -> [String] {
        try tree.children(of: try directory(path), after: NameID(0), limit: 100_000).map { $0.name.name.description }
            .sorted()
    }

    // MARK: waiting

    /// Drains, for at most this long; what is pending then is the error.
    func drain(seconds: Int64 = 20) async throws {
        let drained = Lock<Result<Void, any Error>?>(nil)
        let task = Task { [reconciler] in
            let result = await catching { () async throws(BucketError) in try await reconciler.drain() }
            drained.withLock { $0 = result.mapError { $0 } }
        }
        for _ in 0..<(seconds * 1_000) {
            if let result = drained.withLock({ $0 }) { return try result.get() }
            await SystemTime().sleep(milliseconds: 1)
        }
        task.cancel()
        throw Pending(text: pending)
    }

    struct Pending: Error, CustomStringConvertible {
        let text: String
        var description: String { "not drained: \(text)" }
    }

    /// What is still to be done, for a failing test.
    var pending: String {
        var lines = ["\((try? reconciler.status()).map { "\($0)" } ?? "?")"]
        for name in (try? tree.namesWithWork(after: NameID(0), limit: 10)) ?? [] {
            guard let situation = try? tree.situation(of: name) else { continue }
            lines.append("\(Step.next(situation)) for \(situation)")
        }
        lines.append("leftovers: \((try? tree.leftovers(limit: 10)) ?? [])")
        return lines.joined(separator: "\n")
    }
}
