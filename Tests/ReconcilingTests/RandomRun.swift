import Foundation
import MemoryStore
import ObjectStore
import Primitives

@testable import BlockCache
@testable import Reconciling
@testable import Tree

/// One run of random operations, faults and deaths, all chosen by the seed.
final class RandomRun {
    struct Mismatch: Error, CustomStringConvertible {
        let description: String
    }

    private static let names = ["a", "b", "c", "d"]
    private static let deepest = 3

    private let seed: UInt64
    private var generator: SeededGenerator
    private let bench: Bench
    private var current: Session?
    private var session: Session { current! }
    private var model = Model()
    private var written = 0
    private var looks = 0
    private let rates: FaultRates

    init(seed: UInt64) async throws {
        self.seed = seed
        generator = SeededGenerator(seed: seed)
        var settings = Bench.Settings()
        settings.seed = seed
        settings.delayMilliseconds = [0, 20, 200, 2_000].randomElement(using: &generator)!
        settings.concurrency = [1, 4, 16].randomElement(using: &generator)!
        if Int.random(in: 0..<4, using: &generator) == 0 {
            settings.capabilities.writesIfAbsent = false
            settings.capabilities.writesIfMatch = Bool.random(using: &generator)
        }
        settings.capabilities.copiesRanges = Bool.random(using: &generator)
        settings.capabilities.rangeGranularityBytes = 64 << 10
        var rates = FaultRates()
        if Int.random(in: 0..<3, using: &generator) > 0 {
            rates.throttled = 0.02
            rates.unavailable = 0.05
            rates.timedOut = 0.05
            rates.loseReply = 0.1
            rates.stall = 0.1
            rates.stallMilliseconds = 100
        }
        self.rates = rates
        bench = try Bench(settings)
        bench.store.setRates(rates)
        current = try await bench.open()
    }

    /// The run's end, whatever came of it.
    func close() async { await current?.die() }

    var pending: String { current?.pending ?? "" }
    /// What was done, by the operations and by the store, in order.
    var history: [String] { bench.history + bench.log.lines.suffix(50) }

    func run(operations: Int) async throws {
        for _ in 0..<operations {
            if session.lifeline.isCut { try await reopen() }
            try await step()
        }
        if session.lifeline.isCut { try await reopen() }
        try await compare()
    }

    // MARK: operations

    private func step() async throws {
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<16: try make()
        case 16..<30: try await write()
        case 30..<38: try makeDirectory()
        case 38..<41: try symlink()
        case 41..<45: try await link()
        case 45..<63: try rename()
        case 63..<67: try exchange()
        case 67..<77: try remove()
        case 77..<80: try chmod()
        case 80..<86: await pause(Int64.random(in: 0..<8, using: &generator))
        case 86..<90: try await list()
        case 90..<92: await lookUp()
        case 92..<94: planDeath()
        case 94..<95: try await halfDone()
        case 95..<96: await unplugged()
        case 96..<97: note("evict \(session.cache.evict(bytes: 1 << 40))")
        case 97..<99: try await foreign()
        default: try await compare()
        }
    }

    private func note(_ line: String) { bench.note(line) }

    private func pause(_ milliseconds: Int64) async { await SystemTime().sleep(milliseconds: milliseconds) }

    /// A path in a directory that exists.
    private func somePath() -> String {
        let places = [""] + model.directories.sorted().filter { $0.split(separator: "/").count < Self.deepest }
        let place = places.randomElement(using: &generator)!
        let name = Self.names.randomElement(using: &generator)!
        return place.isEmpty ? name : place + "/" + name
    }

    private func someContent() -> String {
        written += 1
        return "\(seed)/\(written)" + String(repeating: "x", count: [0, 10, 9_000].randomElement(using: &generator)!)
    }

    private func make() throws {
        let path = somePath()
        if model.exists(path) { return }
        let content = Int.random(in: 0..<5, using: &generator) == 0 ? "" : someContent()
        note("make \(path) \(content.prefix(12))")
        try session.make(path, content)
        model.make(path, content)
    }

    private func write() async throws {
        guard let path = model.files.keys.sorted().randomElement(using: &generator) else { return }
        let content = someContent()
        let id = try session.node(path).id
        if Bool.random(using: &generator) {
            note("write \(path) \(content.prefix(12))")
            try session.write(id, content)
            model.write(path, content)
        } else {
            let old = Array((model.objects[path] ?? "").utf8)
            let offset = Int.random(in: 0...old.count, using: &generator)
            let new = Array(content.utf8)
            note("change \(path) at \(offset) \(content.prefix(12))")
            do {
                try await session.change(id, new, at: Int64(offset))
            } catch is FetchError {
                return note("which failed")
            }
            let rest = old.dropFirst(offset + new.count)
            model.write(path, String(decoding: old[..<offset] + new + rest, as: UTF8.self))
        }
    }

    private func makeDirectory() throws {
        let path = somePath()
        if model.exists(path) { return }
        note("mkdir \(path)")
        try session.makeDirectory(path)
        model.directories.insert(path)
    }

    private func symlink() throws {
        let path = somePath()
        if model.exists(path) { return }
        let target = someContent().filter { $0 != "x" }
        note("symlink \(path)")
        try session.symlink(path, to: target)
        model.symlinks[path] = target
    }

    private func link() async throws {
        guard let path = model.files.keys.sorted().randomElement(using: &generator) else { return }
        let new = somePath()
        if model.exists(new) { return }
        // As the file system does it.
        try? await session.discovery.attributes(try session.node(path).id)
        if try !session.node(path).isKnown { return }
        note("link \(path) \(new)")
        try session.link(path, to: new)
        model.files[new] = model.files[path]
    }

    private func rename() throws {
        guard let path = model.paths.randomElement(using: &generator) else { return }
        let new = somePath()
        if new == path || new.hasPrefix(path + "/") || path.hasPrefix(new + "/") { return }
        if model.exists(new) {
            let isDirectory = model.directories.contains(new)
            if isDirectory != model.directories.contains(path) { return }
            if isDirectory, !model.isEmpty(new) { return }
        }
        note("rename \(path) \(new)")
        try session.rename(path, to: new)
        model.rename(path, to: new)
    }

    private func exchange() throws {
        guard let path = model.paths.randomElement(using: &generator),
            let other = model.paths.randomElement(using: &generator)
        else { return }
        if other == path || other.hasPrefix(path + "/") || path.hasPrefix(other + "/") { return }
        note("exchange \(path) \(other)")
        try session.exchange(path, with: other)
        model.exchange(path, with: other)
    }

    private func remove() throws {
        guard let path = model.paths.randomElement(using: &generator) else { return }
        if model.directories.contains(path) {
            guard model.isEmpty(path) else { return }
            note("rmdir \(path)")
            try session.removeDirectory(path)
        } else {
            note("unlink \(path)")
            try session.unlink(path)
        }
        model.remove(path)
    }

    private func chmod() throws {
        guard let path = model.paths.randomElement(using: &generator) else { return }
        let mode = UInt32.random(in: 0..<0o1000, using: &generator) | 0o600
        note("chmod \(path)")
        try session.chmod(path, mode)
    }

    private func list() async throws {
        let places = [""] + model.directories.sorted()
        let place = places.randomElement(using: &generator)!
        note("list \(place)")
        let id = try session.directory(place)
        // A store that fails is no matter here.
        try? await session.discovery.list(id)
    }

    private func lookUp() async {
        let path = somePath()
        guard let (parent, name) = try? session.place(path) else { return }
        note("look up \(path)")
        try? await session.discovery.refresh(parent, name)
    }

    private func unplugged() async {
        note("unplug")
        bench.store.unplug()
        await pause(3)
        bench.store.plug()
    }

    // MARK: deaths

    private func planDeath() {
        let calls = Int.random(in: 0..<8, using: &generator)
        let isLastCarriedOut = Bool.random(using: &generator)
        note("death after \(calls) calls, last carried out: \(isLastCarriedOut)")
        if calls == 0 { return session.lifeline.cut() }
        session.lifeline.cut(after: calls, carryingOutLast: isLastCarriedOut)
    }

    /// Operations that death interrupts between the tree and the cache.
    private func halfDone() async throws {
        let path = somePath()
        if !model.exists(path) {
            note("make \(path), dying before it has content")
            let (parent, name) = try session.place(path)
            _ = try session.tree.make(parent, name, session.template(0o100644), now: SystemTime().now())
            model.make(path, "")
        } else if model.files[path] != nil {
            let content = someContent()
            note("write \(path) \(content.prefix(12)), dying before the tree knows")
            let file = try session.content(try session.node(path))
            try file.truncate(to: 0)
            let result = Array(content.utf8).withUnsafeBytes { buffer in Result { try file.write(buffer, at: 0) } }
            _ = try result.get()
            model.write(path, content)
        }
        session.lifeline.cut()
    }

    private func reopen() async throws {
        await session.die()
        note("reopen")
        // What death between the tree's knowing of an upload and the cache's leaves behind.
        if Bool.random(using: &generator) { try forgetThatClean() }
        let isTrusted = Int.random(in: 0..<4, using: &generator) > 0
        current = nil
        current = try await bench.open(afterCrash: true, trustClean: isTrusted)
        note("recovered \(session.recovered.changedFiles)")
    }

    private func forgetThatClean() throws {
        let root = URL(fileURLWithPath: bench.directory + "/machine/cache/content")
        for case let file as URL in FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil)! {
            guard file.pathExtension.isEmpty, !file.hasDirectoryPath, Bool.random(using: &generator) else { continue }
            var status = stat()
            guard stat(file.path, &status) == 0 else { continue }
            Glibc.chmod(file.path, status.st_mode & 0o7777 | 0o100)
        }
    }

    // MARK: somebody else

    /// Somebody else changes the bucket while nothing is pending here, and a listing tells of it.
    private func foreign() async throws {
        try await compare()
        defer { bench.store.setRates(rates) }
        let path = somePath()
        if model.directories.contains(path) || model.symlinks[path] != nil { return }
        if let number = model.files[path] {
            // What is left of the file's names says how many there were until it is changed again.
            if model.files.values.filter({ $0 == number }).count > 1 { return }
            model.remove(path)
        }
        if Bool.random(using: &generator) {
            let content = someContent()
            note("foreign put \(path) \(content.prefix(12))")
            bench.memory.put(ByteString(path), Array(content.utf8))
            model.make(path, content)
        } else {
            note("foreign remove \(path)")
            bench.memory.remove(ByteString(path))
        }
        let place = path.split(separator: "/").dropLast().joined(separator: "/")
        bench.store.heal()
        try await session.discovery.list(try session.directory(place))
    }

    // MARK: comparing

    /// Ends the faults, drains, and compares the bucket and the tree with the model. Faults begin again after.
    private func compare() async throws {
        note("compare")
        if session.lifeline.isCut { try await reopen() }
        session.lifeline.survive()
        bench.store.heal()
        defer { bench.store.setRates(rates) }
        await bench.store.finishLate()
        try await session.drain()
        try compareBucket()
        try await compareTree(session)
        try await compareElsewhere()
    }

    /// What a machine sees that has never seen the bucket: the same files, and which names lead to one of them.
    private func compareElsewhere() async throws {
        looks += 1
        let other = try await bench.open("\(looks)", starts: false)
        defer { other.lifeline.cut() }
        try await other.lookAtAll()
        try await compareTree(other)
        for (path, number) in model.files {
            let node = try other.node(path)
            let names = model.files.filter { $0.value == number }.keys.sorted()
            guard node.linkCount == names.count, try names.allSatisfy({ try other.node($0).id == node.id }) else {
                throw Mismatch(description: "\(path) has \(node.linkCount) names elsewhere, not \(names)")
            }
        }
    }

    private func compareBucket() throws {
        let wanted = model.objects
        var found = bench.bucket
        for (key, content) in found where key.hasSuffix("/") {
            guard content.isEmpty, model.directories.contains(String(key.dropLast())) else {
                throw Mismatch(description: "the bucket has \(key)")
            }
            found[key] = nil
        }
        for directory in model.directories where bench.bucket[directory + "/"] == nil {
            throw Mismatch(description: "the bucket lacks \(directory)/")
        }
        for key in Set(wanted.keys).union(found.keys).sorted() where wanted[key] != found[key] {
            throw Mismatch(
                description: "\(key): the bucket has \(found[key]?.prefix(20) ?? "nothing"), "
                    + "not \(wanted[key]?.prefix(20) ?? "nothing")")
        }
        for path in model.paths {
            let key = model.directories.contains(path) ? path + "/" : path
            let mode = bench.metadata(ByteString(key))["mode"]
            let node = try session.node(path)
            guard !node.isKnown || mode == nil || mode == String(node.mode) else {
                throw Mismatch(description: "\(key): mode \(mode ?? "none"), not \(node.mode)")
            }
        }
    }

    private func compareTree(_ session: Session) async throws {
        for (path, content) in model.objects.sorted(by: { $0.key < $1.key }) where model.symlinks[path] == nil {
            let read = try await session.read(path)
            guard read == content else {
                throw Mismatch(description: "\(path) reads as \(read.prefix(20)), not \(content.prefix(20))")
            }
        }
        for directory in [""] + model.directories.sorted() {
            let prefix = directory.isEmpty ? "" : directory + "/"
            let wanted = model.paths.filter { $0.hasPrefix(prefix) && !$0.dropFirst(prefix.count).contains("/") }
                .map { String($0.dropFirst(prefix.count)) }
            let names = try session.names(directory)
            guard names == wanted.sorted() else {
                throw Mismatch(description: "\(directory)/ holds \(names), not \(wanted)")
            }
        }
    }
}
