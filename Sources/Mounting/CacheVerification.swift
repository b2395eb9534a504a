import BlockCache
import CSystem
import Configuration
import Glibc
import Primitives
import Tree

/// Looks whether what is in a cache fits together. Changes nothing.
public struct CacheVerification: Sendable {
    /// One line each; empty if all is well.
    public private(set) var faults: [String] = []
    public private(set) var files = 0
    public private(set) var dirtyFiles = 0

    /// Throws if the cache is in use: its daemon changes what would be looked at.
    public init(_ directory: CacheDirectory) throws(MountFailure) {
        let lock = try CacheLock.forLooking(directory)
        switch CacheIdentity.read(directory) {
        case .sound(let identity): try checkDatabase(directory, cacheID: identity.id)
        case .damaged, .none:
            faults.append("the identity is missing or can't be read")
            try checkDatabase(directory, cacheID: nil)
        case .otherFormat(let format): throw CacheIdentity.otherFormat(format, directory)
        }
        try checkContents(directory)
        withExtendedLifetime(lock) {}
    }

    /// A copy of it: opening a database with a log changes it.
    private mutating func checkDatabase(_ directory: CacheDirectory, cacheID: String?) throws(MountFailure) {
        guard Directory.sizeBytes(directory.database) > 0 else {
            faults.append("the database is missing")
            return
        }
        let place = try TemporaryDirectory()
        for ending in ["", "-wal", "-redo"] where Directory.exists(directory.database + ending) {
            try place.copy(directory.database + ending, as: "tree.db" + ending)
        }
        let check: TreeCheck
        do {
            check = try TreeCheck(
                path: place.path + "/tree.db", thorough: true,
                afterPowerLoss: RunningMarker(directory: directory).priorStop() == .powerLost)
        } catch {
            throw MountFailure(.failed, "the database can't be looked at: \(error)")
        }
        faults += check.faults.map { "the database: \($0)" }
        guard check.faults.isEmpty else { return }
        if check.format != CacheFormat.current {
            faults.append("the database says format \(check.format ?? 0)")
        } else if let cacheID, check.cacheID != cacheID {
            faults.append("the database is that of another cache")
        }
    }

    private mutating func checkContents(_ directory: CacheDirectory) throws(MountFailure) {
        var dirty: [ContentFile] = []
        var found: [String] = []
        var count = 0
        ContentFile.forEach(in: directory.path) { file in
            count += 1
            if file.isDirty { dirty.append(file) }
            switch Result(catching: { () throws(CacheError) in try file.extent() }) {
            case .success(.unmapped):
                found.append(
                    "content \(Self.name(file.id)): its page map can't be read\(file.isDirty ? "" : " (clean)")")
            case .failure(let error): found.append("content \(Self.name(file.id)): \(error)")
            case .success: break
            }
        }
        let tree = TreeSalvage(path: directory.database, nodes: Set(dirty.map(\.id)))
        for file in dirty where tree.facts[file.id] == nil {
            found.append("content \(Self.name(file.id)): it has changes, and the tree doesn't know it")
        }
        ContentFile.forEachLost(in: directory.path) { found.append("\($0.path): kept apart, it has changes") }
        files = count
        dirtyFiles = dirty.count
        faults += found
    }

    private static func name(_ id: UInt64) -> String { String(id, radix: 16) }
}

extension CacheLock {
    /// The lock of a cache that nobody uses; none for one that was set aside, which nobody can.
    static func forLooking(_ directory: CacheDirectory) throws(MountFailure) -> CacheLock? {
        if SetAside(directory: directory).reason != nil { return nil }
        if let lock = try CacheLock(directory) { return lock }
        throw MountFailure(.cache, "\(directory.path) is in use by \(holder(directory)): unmount it first")
    }
}

/// A directory of this process's own, removed with it.
final class TemporaryDirectory {
    let path: String

    init() throws(MountFailure) {
        let base = ProcessEnvironment.value("TMPDIR") ?? "/var/tmp"
        var name = Array((base + "/pail-XXXXXX").utf8CString)
        guard mkdtemp(&name) != nil else { throw MountFailure(.failed, "can't write to \(base): \(Errno.current)") }
        path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? Directory.remove(path) }

    func copy(_ file: String, as name: String) throws(MountFailure) {
        do throws(Errno) {
            let from = try Errno.check { pail_open(file, O_RDONLY | O_CLOEXEC, 0) }
            defer { close(from) }
            let to = try Errno.check { pail_open(path + "/" + name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600) }
            defer { close(to) }
            var bytes = [UInt8](repeating: 0, count: 1 << 20)
            while true {
                let count = try Errno.check { read(from, &bytes, bytes.count) }
                if count == 0 { return }
                var rest = bytes[..<count]
                while !rest.isEmpty {
                    let written = try Errno.check { rest.withUnsafeBytes { write(to, $0.baseAddress, $0.count) } }
                    rest = rest.dropFirst(written)
                }
            }
        } catch {
            throw MountFailure(.failed, "can't copy \(file) to \(path): \(error)")
        }
    }
}
