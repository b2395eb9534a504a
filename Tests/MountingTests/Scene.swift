import BlockCache
import Configuration
import FileSystem
import Foundation
import ObjectStore
import Primitives
import Telemetry

@testable import Mounting
@testable import Tree

/// A cache directory with changes that no bucket has, as a daemon leaves it, and copies of it to damage.
final class Scene {
    /// What must not be lost: a file's length, and bytes of it that were written.
    struct Expected {
        var sizeBytes: Int
        var written: [(offset: Int, bytes: [UInt8])]
    }

    private static let pageBytes = 4096
    let base: String
    let expected: [String: Expected]
    let configuration: MountConfiguration
    private let original: CacheDirectory
    private var tree: Tree?

    /// With `killed`, the database's log is there and the marker of a running daemon; else all is in order.
    init(killed: Bool) throws {
        let parent = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
        base = parent + "/pail-mounting-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: base + "/bucket", withIntermediateDirectories: true)
        var configuration = MountConfiguration()
        configuration.bucket = .local(path: base + "/bucket")
        configuration.cache.directory = base + "/original"
        configuration.cache.reserveBytes = 0
        self.configuration = configuration
        original = CacheDirectory(for: configuration)
        try original.prepare()
        let start = try CacheStart(original, for: configuration, log: .silent)
        let tree = try Tree(
            path: original.database, defaults: Tree.Defaults(user: 0, group: 0), newCacheID: start.identity.id,
            now: Self.now)
        expected = try Self.fill(tree, original)
        if killed {
            self.tree = tree
        } else {
            RunningMarker(directory: original).end()
        }
    }

    deinit {
        tree = nil
        try? FileManager.default.removeItem(atPath: base)
    }

    private static let now = Timestamp(seconds: 1_700_000_000)

    private static func template(_ mode: UInt32) -> Node {
        Node(id: NodeID(0), mode: mode, user: 0, group: 0, accessed: now, modified: now, changed: now)
    }

    /// New files, a changed part of a large one, and enough beside them that the database has many pages.
    private static func fill(_ tree: Tree, _ directory: CacheDirectory) throws -> [String: Expected] {
        let cache = try BlockCache(settings: BlockCache.Settings(directory: directory.path))
        _ = try cache.startScan(trustClean: true)
        var expected: [String: Expected] = [:]
        var folder = NodeID.root
        for (depth, path) in ["a", "a/b", "a/b/c"].enumerated() {
            let name = ByteString(path.split(separator: "/").last!)
            folder = try tree.make(folder, name, template(0o040755), now: now).node.id
            let file = try tree.make(folder, "new", template(0o100644), now: now).node
            let bytes = pattern(3000 + 5000 * depth, seed: depth)
            try write(bytes, at: 0, to: try cache.create(file.id.raw))
            try tree.touchContent(file.id)
            expected[path + "/new"] = Expected(sizeBytes: bytes.count, written: [(0, bytes)])
        }
        let big = try tree.make(folder, "big", template(0o100644), now: now).node
        let size = 300 * pageBytes - 100
        try tree.update(big.id, forBucket: false) {
            $0.origin = ObjectSource(key: "a/b/c/big", etag: ETag("\"1\""), sizeBytes: Int64(size))
            $0.sizeBytes = Int64(size)
        }
        let part = pattern(8 * pageBytes, seed: 77)
        try write(part, at: 16 * pageBytes, to: try cache.open(big.id.raw, originBytes: Int64(size)))
        try tree.touchContent(big.id)
        expected["a/b/c/big"] = Expected(sizeBytes: size, written: [(16 * pageBytes, part)])
        for number in 0..<120 {
            _ = try tree.make(.root, ByteString("folder \(number)"), template(0o040755), now: now)
        }
        return expected
    }

    private static func write(_ bytes: [UInt8], at offset: Int, to file: CachedFile) throws {
        let outcome = try bytes.withUnsafeBytes { buffer in Result { try file.write(buffer, at: Int64(offset)) } }.get()
        guard outcome == .written else { throw Errno(EIO) }
    }

    static func pattern(_ count: Int, seed: Int) -> [UInt8] {
        var random = SeededGenerator(seed: UInt64(seed) + 1)
        return (0..<count).map { _ in UInt8.random(in: 1...255, using: &random) }
    }

    /// A copy of the cache, made by another process: to close the database's file in this one would drop SQLite's locks.
    func trial() throws -> Trial {
        let path = base + "/trial-" + UUID().uuidString
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/cp")
        process.arguments = ["-a", original.path, path]
        try process.run()
        process.waitUntilExit()
        return Trial(scene: self, directory: CacheDirectory(path: path))
    }
}

/// One cache that may be damaged, started, and looked through for what must not be lost.
struct Trial {
    let scene: Scene
    let directory: CacheDirectory

    /// Where the changed files were found: under their own paths in the cache that is used, or elsewhere.
    struct Outcome {
        var notice: String?
        /// The changed files that no export has.
        var lost: [String] = []
        /// The changed files that the cache in use doesn't have at their paths.
        var displaced: [String] = []
        /// What the exports say of themselves.
        var reports = ""
    }

    func path(_ name: String) -> String { directory.path + "/" + name }

    func bytes(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path(name)))) }

    func write(_ bytes: [UInt8], to name: String) throws { try Data(bytes).write(to: URL(fileURLWithPath: path(name))) }

    /// The content file of the only large file that was changed in part.
    func partialContent() throws -> ContentFile {
        var found: ContentFile?
        ContentFile.forEach(in: directory.path) { if $0.sizeBytes > 1 << 20 { found = $0 } }
        guard let found else { throw Errno(ENOENT) }
        return found
    }

    func start() throws -> CacheStart {
        let start = try CacheStart(directory, for: scene.configuration, log: .silent)
        let backend = try Backend(scene.configuration, cache: directory, log: .silent)
        defer { backend.shutdown() }
        _ = try Stack(
            scene.configuration, directory, start.identity, backend: backend, prior: start.prior,
            references: try KernelReferences(), log: .silent)
        return start
    }

    /// Starts, exports everything that is kept, and removes the trial.
    func run() throws -> Outcome {
        defer { try? FileManager.default.removeItem(atPath: directory.path) }
        var outcome = Outcome(notice: try start().notice)
        let exports = directory.path + "-exports"
        try FileManager.default.createDirectory(atPath: exports, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: exports) }
        _ = try CacheExport(directory, to: exports + "/used")
        for (number, kept) in SetAside.all(in: directory).enumerated() {
            _ = try CacheExport(kept.directory, to: exports + "/kept\(number)")
        }
        for number in 0... {
            guard let text = FileManager.default.contents(atPath: exports + "/kept\(number)/report") else { break }
            outcome.reports += String(decoding: text, as: UTF8.self)
        }
        let found = Self.contents(below: Array(exports.utf8))
        for (path, expected) in scene.expected {
            let data = FileManager.default.contents(atPath: exports + "/used/files/" + path)
            if data.map({ holds(expected, $0) }) != true { outcome.displaced.append(path) }
            if !found.contains(where: { holds(expected, $0) }) { outcome.lost.append(path) }
        }
        return outcome
    }

    private func holds(_ expected: Scene.Expected, _ data: Data) -> Bool {
        guard data.count == expected.sizeBytes else { return false }
        return expected.written.allSatisfy { part in
            data[part.offset..<(part.offset + part.bytes.count)].elementsEqual(part.bytes)
        }
    }

    /// What the files below a directory hold. Paths are bytes: a damaged name may be no text.
    private static func contents(below path: [UInt8]) -> [Data] {
        let name = path.map { CChar(bitPattern: $0) } + [0]
        guard let stream = opendir(name) else {
            let descriptor = open(name, O_RDONLY)
            guard descriptor >= 0 else { return [] }
            return [FileHandle(fileDescriptor: descriptor, closeOnDealloc: true).readDataToEndOfFile()]
        }
        defer { closedir(stream) }
        var found: [Data] = []
        while let entry = readdir(stream) {
            let part = withUnsafeBytes(of: entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if part == Array(".".utf8) || part == Array("..".utf8) { continue }
            found += contents(below: path + [UInt8(ascii: "/")] + part)
        }
        return found
    }
}
