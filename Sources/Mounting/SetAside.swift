import BlockCache
import Glibc
import Parsing
import Primitives
import Tree

/// A cache that couldn't be used any more, kept below the one that took its place: `set-aside/TIME/` with the database,
/// the content that isn't in the bucket, the identity, and the `reason`.
struct SetAside: Sendable {
    private static let unfinished = ".partial"
    /// The database first: without it a start notices; the identity last.
    private static let names = [
        "tree.db", "tree.db-wal", "tree.db-redo", "tree.db-journal", "tree.db-shm", "content", "lost+found", "identity",
    ]

    /// It has the shape of a cache directory.
    let directory: CacheDirectory

    /// Why; nil for a directory that isn't one.
    var reason: String? { SmallFile.read(reasonFile).flatMap { SmallFile.field("reason", in: $0) } }

    private var reasonFile: String { directory.path + "/reason" }

    /// Those below a cache, oldest first.
    static func all(in cache: CacheDirectory) -> [SetAside] {
        let names = Directory.entries(cache.setAside) ?? []
        return names.sorted().map { SetAside(directory: CacheDirectory(path: cache.setAside + "/" + $0)) }
    }

    /// Moves all of a cache that can't be used out of the way, by renames on the same disk: nothing is lost if this ends
    /// in the middle, and the next call, or `resume`, carries on. What is clean is removed.
    /// Returns nil if nothing in it waited for the bucket: then it is gone.
    static func move(_ cache: CacheDirectory, _ fault: CacheFault) throws(MountFailure) -> SetAside? {
        let finished = try move(cache, reason: fault.reason)
        if fault.hidesChanges || finished.holdsChanges { return finished }
        try finished.remove()
        return nil
    }

    /// Ends a move that was begun by a process that died. Before anything else is done with the cache.
    static func resume(_ cache: CacheDirectory) throws(MountFailure) -> SetAside? {
        guard let name = Directory.entries(cache.setAside)?.first(where: { $0.hasSuffix(unfinished) }) else {
            return nil
        }
        let begun = SetAside(directory: CacheDirectory(path: cache.setAside + "/" + name))
        guard let reason = begun.reason else {
            // Before the reason is there, nothing is moved.
            try begun.remove()
            return nil
        }
        return try move(cache, reason: reason)
    }

    private static func move(_ cache: CacheDirectory, reason: String) throws(MountFailure) -> SetAside {
        do throws(Errno) {
            if mkdir(cache.setAside, 0o700) != 0, errno != EEXIST { throw .current }
            let begun = try begin(cache)
            if begun.reason == nil {
                try SmallFile.write("reason \(LineText.escape(reason))\n", to: begun.reasonFile)
            }
            for name in names {
                let from = cache.path + "/" + name
                if Directory.exists(from) { try Errno.check { rename(from, begun.directory.path + "/" + name) } }
            }
            unlink(cache.runningFile)
            Directory.sync(begun.directory.path)
            let path = String(begun.directory.path.dropLast(unfinished.count))
            try Errno.check { rename(begun.directory.path, path) }
            Directory.sync(cache.setAside)
            Directory.sync(cache.path)
            ContentFile.removeClean(in: path)
            return SetAside(directory: CacheDirectory(path: path))
        } catch {
            throw cache.failure("can't be set aside", error)
        }
    }

    /// A directory of its own for what is moved; the one that was begun, if there is one.
    private static func begin(_ cache: CacheDirectory) throws(Errno) -> SetAside {
        let names = Directory.entries(cache.setAside) ?? []
        var name = names.first { $0.hasSuffix(unfinished) }
        if name == nil {
            let time = ISODate.formatBasic(SystemTime().now())
            var number = 1
            var free = time
            while names.contains(free) {
                number += 1
                free = "\(time)-\(number)"
            }
            name = free + unfinished
            try Errno.check { mkdir("\(cache.setAside)/\(free)\(unfinished)", 0o700) }
        }
        return SetAside(directory: CacheDirectory(path: cache.setAside + "/" + (name ?? "")))
    }

    /// Something in it isn't in the bucket, as far as can be seen.
    private var holdsChanges: Bool {
        CacheFault.holdsDirtyContent(directory) || !(Directory.entries(directory.lostAndFound) ?? []).isEmpty
            || !TreeSalvage(path: directory.database).waiting.isEmpty
    }

    private func remove() throws(MountFailure) {
        do throws(Errno) {
            try Directory.remove(directory.path)
        } catch {
            throw directory.failure("can't be removed", error)
        }
    }
}
