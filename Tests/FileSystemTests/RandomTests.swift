import FileSystem
import Foundation
import MemoryStore
import Primitives
import Reconciling
import Testing
import Tree

/// Random operations, faults and kills against a reference: what was acknowledged has to be there after each restart,
/// and in the bucket after the last drain. `PAIL_SEED=n` runs one seed, `PAIL_SEEDS=n` that many,
/// `PAIL_FIRST_SEED=n` begins elsewhere.
@Suite(.serialized) struct RandomTests {
    private static var seeds: [UInt64] {
        let environment = ProcessInfo.processInfo.environment
        if let one = environment["PAIL_SEED"].flatMap({ UInt64($0) }) { return [one] }
        let first = environment["PAIL_FIRST_SEED"].flatMap { UInt64($0) } ?? 1
        let count = environment["PAIL_SEEDS"].flatMap { UInt64($0) } ?? 24
        return Array(first..<(first + count))
    }

    @Test func nothingAcknowledgedIsLost() async throws {
        for seed in Self.seeds {
            do {
                try await withDeadline(seconds: 60) { try await RandomRun(seed: seed).run() }
            } catch {
                Issue.record("seed \(seed): \(error)")
            }
        }
    }
}

struct Overdue: Error {}

/// Runs `body`, but waits no longer than this for it.
func withDeadline(seconds: Double, _ body: @escaping @Sendable () async throws -> Void) async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        let once = Once(continuation)
        Task {
            do {
                try await body()
                once.resume(.success(()))
            } catch { once.resume(.failure(error)) }
        }
        Task {
            try? await Task.sleep(nanoseconds: UInt64(seconds * 1e9))
            once.resume(.failure(Overdue()))
        }
    }
}

private final class Once: Sendable {
    private let continuation: Lock<CheckedContinuation<Void, any Error>?>
    init(_ continuation: CheckedContinuation<Void, any Error>) { self.continuation = Lock(continuation) }

    func resume(_ result: Result<Void, any Error>) {
        let taken = continuation.withLock { continuation -> CheckedContinuation<Void, any Error>? in
            defer { continuation = nil }
            return continuation
        }
        taken?.resume(with: result)
    }
}

/// What the tree should look like: paths of directories, and of files with their content (shared by hard links).
private struct Reference {
    final class Content {
        var bytes: [UInt8] = []
    }

    var directories: Set<String> = []
    var files: [String: Content] = [:]

    func isUsed(_ path: String) -> Bool { directories.contains(path) || files[path] != nil }

    func isEmpty(_ directory: String) -> Bool {
        !directories.contains { $0.hasPrefix(directory + "/") }
            && !files.keys.contains { $0.hasPrefix(directory + "/") }
    }

    mutating func move(_ from: String, _ to: String) {
        if let content = files.removeValue(forKey: from) {
            files[to] = content
            return
        }
        for directory in directories where directory == from || directory.hasPrefix(from + "/") {
            directories.remove(directory)
            directories.insert(to + directory.dropFirst(from.count))
        }
        for (path, content) in files where path.hasPrefix(from + "/") {
            files[path] = nil
            files[to + path.dropFirst(from.count)] = content
        }
    }
}

private final class RandomRun: @unchecked Sendable {
    struct Difference: Error, CustomStringConvertible {
        let description: String
    }

    let rig: Rig
    var generator: SeededGenerator
    var reference = Reference()
    var trace: [String] = []

    init(seed: UInt64) throws {
        rig = try Rig(seed: seed)
        generator = SeededGenerator(seed: seed)
        var rates = FaultRates()
        if seed % 3 != 0 {
            rates.unavailable = 0.03
            rates.throttled = 0.02
            rates.loseReply = 0.04
            rates.timedOut = 0.02
            rates.stall = 0.05
            rates.stallMilliseconds = 3
            rates.corruptBody = 0.01
        }
        rig.faulty.setRates(rates)
    }

    func run() async throws {
        do {
            for _ in 0..<Int.random(in: 20...120, using: &generator) {
                let step = Int.random(in: 0..<100, using: &generator)
                if step < 4 {
                    trace.append("kill")
                    try await rig.kill()
                    try await compareMount()
                } else if step < 8 {
                    try await Task.sleep(nanoseconds: UInt64.random(in: 0...8_000_000, using: &generator))
                } else {
                    try await operate(step)
                }
            }
            try await compareMount()
            rig.faulty.heal()
            try await rig.drain(seconds: 20)
            try compareBucket()
            let fresh = try Rig(bucket: rig.bucket)
            try await compare(fresh, "with an empty cache")
        } catch {
            throw Difference(description: "\(error)\n" + trace.suffix(60).joined(separator: "\n"))
        }
    }

    // MARK: operations

    private static let names = ["a", "b", "c", "d", "e"]

    private func somePath() -> String {
        let parents = [""] + reference.directories.sorted()
        let parent = parents.randomElement(using: &generator)!
        let name = Self.names.randomElement(using: &generator)!
        return parent.isEmpty ? name : "\(parent)/\(name)"
    }

    private func someFile() -> String? { reference.files.keys.sorted().randomElement(using: &generator) }
    private func someDirectory() -> String? { reference.directories.sorted().randomElement(using: &generator) }

    private func someBytes() -> [UInt8] {
        let count = [0, 1, 100, 5_000, 70_000].randomElement(using: &generator)!
        let fill = UInt8.random(in: 1...255, using: &generator)
        return (0..<count).map { fill &+ UInt8(truncatingIfNeeded: $0 >> 8) }
    }

    private func operate(_ step: Int) async throws {
        switch step {
        case ..<35: try await writeWhole()
        case ..<48: try await writePart()
        case ..<58: try await makeDirectory()
        case ..<72: try await rename()
        case ..<82: try await remove()
        case ..<88: try await removeDirectory()
        case ..<93: try await link()
        default: try await changeMode()
        }
    }

    /// An operation may fail for the bucket's faults: then nothing has happened.
    private func attempt(_ what: String, _ body: () async throws -> Void, then: () -> Void) async throws {
        trace.append(what)
        do {
            try await body()
            then()
        } catch let error as Errno {
            let expected: [Int32] = [EIO, ETIMEDOUT, EINTR, ESTALE]
            trace.append("  \(error)")
            guard expected.contains(error.code) else { throw Difference(description: "\(what): \(error)") }
        }
    }

    private func writeWhole() async throws {
        let path = somePath()
        guard !reference.directories.contains(path) else { return }
        let bytes = someBytes()
        let content = reference.files[path] ?? Reference.Content()
        // Opening truncates before the write, which can't fail here: nothing has to be fetched.
        try await attempt("write \(path) \(bytes.count)") {
            try await rig.write(path, bytes)
        } then: {
            content.bytes = bytes
            reference.files[path] = content
        }
    }

    private func writePart() async throws {
        guard let path = someFile(), let content = reference.files[path] else { return }
        let bytes = someBytes()
        let offset = Int.random(in: 0...80_000, using: &generator)
        guard !bytes.isEmpty else { return }
        try await attempt("write \(path) \(bytes.count) at \(offset)") {
            try await rig.write(path, bytes, at: Int64(offset), truncate: false)
        } then: {
            if content.bytes.count < offset + bytes.count {
                content.bytes += Array(repeating: 0, count: offset + bytes.count - content.bytes.count)
            }
            content.bytes.replaceSubrange(offset..<(offset + bytes.count), with: bytes)
        }
    }

    private func makeDirectory() async throws {
        let path = somePath()
        guard !reference.isUsed(path), path.split(separator: "/").count < 4 else { return }
        try await attempt("mkdir \(path)") {
            try await rig.makeDirectory(path)
        } then: {
            reference.directories.insert(path)
        }
    }

    private func rename() async throws {
        let from = Bool.random(using: &generator) ? someFile() : someDirectory()
        let to = somePath()
        guard let from, from != to, !to.hasPrefix(from + "/"), !from.hasPrefix(to + "/") else { return }
        let isDirectory = reference.directories.contains(from)
        if isDirectory {
            if reference.files[to] != nil { return }
            if reference.directories.contains(to), !reference.isEmpty(to) { return }
        } else if reference.directories.contains(to) {
            return
        }
        let isSame = reference.files[from] != nil && reference.files[from] === reference.files[to]
        try await attempt("rename \(from) \(to)") {
            try await rig.rename(from, to)
        } then: {
            if !isSame {
                reference.directories.remove(to)
                reference.move(from, to)
            }
        }
    }

    private func remove() async throws {
        guard let path = someFile() else { return }
        try await attempt("unlink \(path)") {
            try await rig.remove(path)
        } then: {
            reference.files[path] = nil
        }
    }

    private func removeDirectory() async throws {
        guard let path = someDirectory(), reference.isEmpty(path) else { return }
        try await attempt("rmdir \(path)") {
            try await rig.removeDirectory(path)
        } then: {
            reference.directories.remove(path)
        }
    }

    private func link() async throws {
        guard let from = someFile(), let content = reference.files[from] else { return }
        let to = somePath()
        guard !reference.isUsed(to) else { return }
        try await attempt("link \(from) \(to)") {
            let node = try await rig.node(from)
            let (parent, name) = try await rig.parent(to)
            let entry = try await rig.run { fs throws(Failure) in try fs.link(node, to: parent, name, rig.caller) }
            rig.fs.forget(entry.attributes.node, 1)
        } then: {
            reference.files[to] = content
        }
    }

    private func changeMode() async throws {
        guard let path = someFile() else { return }
        let mode = UInt32.random(in: 0...0o777, using: &generator)
        try await attempt("chmod \(path)") {
            let node = try await rig.node(path)
            var change = AttributeChange()
            change.mode = mode
            let wanted = change
            _ = try await rig.run { fs throws(Failure) in
                try fs.setAttributes(node, wanted, handle: nil, rig.caller)
            }
        } then: {
        }
    }

    // MARK: comparing

    private func compareMount() async throws {
        rig.faulty.setRates(FaultRates())
        defer { rig.faulty.setRates(FaultRates()) }
        try await compare(rig, "on the mount")
    }

    private func compare(_ rig: Rig, _ place: String) async throws {
        for (path, content) in reference.files.sorted(by: { $0.key < $1.key }) {
            let bytes: [UInt8]
            do {
                bytes = try await rig.read(path)
            } catch { throw Difference(description: "\(path) \(place): \(error)") }
            guard bytes == content.bytes else {
                throw Difference(
                    description: "\(path) \(place): \(bytes.count) bytes differ from \(content.bytes.count)")
            }
        }
        for directory in [""] + reference.directories.sorted() {
            let depth = directory.isEmpty ? "" : directory + "/"
            let expected = (reference.directories.union(reference.files.keys)).filter {
                $0.hasPrefix(depth) && !$0.dropFirst(depth.count).contains("/") && $0 != directory
            }.map { String($0.dropFirst(depth.count)) }.sorted()
            let seen = try await rig.list(directory)
            guard seen == expected else {
                throw Difference(description: "\(directory)/ \(place): \(seen), expected \(expected)")
            }
        }
    }

    private func compareBucket() throws {
        let objects = rig.objects()
        for path in Set(objects.keys).union(reference.files.keys).sorted()
        where objects[path] != reference.files[path]?.bytes {
            throw Difference(
                description: """
                    \(path) in the bucket: \(objects[path]?.count ?? -1) bytes, \
                    expected \(reference.files[path]?.bytes.count ?? -1)
                    """)
        }
        let markers = Set(rig.bucket.snapshot().map(\.info.key.description).filter { $0.hasSuffix("/") })
        let expected = Set(reference.directories.map { $0 + "/" })
        guard markers == expected else {
            throw Difference(
                description: "markers \(markers.symmetricDifference(expected).sorted()) are too many or missing")
        }
    }
}
