import BlockCache
import CSystem
import Glibc
import Primitives
import Tree

/// Writes out what is in a cache and not in the bucket: to `files/` under its paths, to `lost+found/` under its numbers
/// where no path is known, and a `report` that has a line for each. Changes nothing in the cache.
public final class CacheExport {
    public private(set) var whole = 0
    /// Files of which a part has to come from the bucket; the report names the parts.
    public private(set) var partial = 0
    public private(set) var failed = 0

    private let cache: CacheDirectory
    private let destination: String
    private var report: [String] = []

    /// - Parameter destination: an absolute path of a directory that doesn't exist or is empty.
    /// Throws if the cache is in use or nothing can be written; a single file that can't be is counted.
    public init(_ cache: CacheDirectory, to destination: String) throws(MountFailure) {
        self.cache = cache
        self.destination = destination
        let lock = try CacheLock.forLooking(cache)
        if mkdir(destination, 0o700) != 0, errno != EEXIST { throw refusal("can't be made", .current) }
        guard let there = Directory.entries(destination, limit: 1) else { throw refusal("can't be read", .current) }
        guard there.isEmpty else {
            throw MountFailure(.failed, "\(destination) is not empty: name a new directory, nothing is overwritten")
        }
        try exportAll()
        withExtendedLifetime(lock) {}
    }

    private func refusal(_ what: String, _ error: Errno) -> MountFailure {
        MountFailure(.failed, "\(destination) \(what): \(error)")
    }

    private func exportAll() throws(MountFailure) {
        var files: [ContentFile] = []
        ContentFile.forEach(in: cache.path) { if $0.isDirty { files.append($0) } }
        ContentFile.forEachLost(in: cache.path) { files.append($0) }
        let tree = TreeSalvage(path: cache.database, nodes: Set(files.map(\.id)))
        for file in files { export(file, tree) }
        let contents = Set(files.map(\.id))
        for node in tree.waiting.subtracting(contents).sorted() { export(node, tree) }
        do throws(Errno) {
            try SmallFile.write(report.sorted().map { $0 + "\n" }.joined(), to: destination + "/report")
        } catch {
            throw refusal("can't be written", error)
        }
    }

    // MARK: Files

    private func export(_ file: ContentFile, _ tree: TreeSalvage) {
        let facts = tree.facts[file.id]
        let parts = tree.path(of: file.id)
        let number = "lost+found/" + (file.path.split(separator: "/").last.map(String.init) ?? "")
        // Deleted while it was open, or so a damaged tree says.
        let isPlaced = !file.path.hasPrefix(cache.lostAndFound + "/") && facts?.links != 0
        do throws(CacheExportError) {
            if isPlaced, let parts {
                do throws(CacheExportError) {
                    return try export(file, to: "files/" + Self.joined(parts), at: parts, path: parts, facts)
                } catch {
                    // A damaged tree may put it where something else is: its content counts.
                    if error.isFatal { throw error }
                }
            }
            try export(file, to: number, at: nil, path: parts, facts)
        } catch {
            failed += 1
            report.append("failed\t\(number)\t\(LineText.escape(error.text))")
        }
    }

    private func export(
        _ file: ContentFile, to target: String, at place: [ByteString]?, path: [ByteString]?,
        _ facts: TreeSalvage.Facts?
    ) throws(CacheExportError) {
        let extent = try inCache(file.extent())
        try write(file, to: target, parts: place, facts)
        note(file, extent, target, path: path, facts)
    }

    private func write(
        _ file: ContentFile, to target: String, parts: [ByteString]?, _ facts: TreeSalvage.Facts?
    ) throws(CacheExportError) {
        let (directory, name) = try place(parts, or: target)
        defer { close(directory) }
        let mode = (facts?.mode ?? 0o600) & 0o777 | 0o600
        let descriptor = name.withCName {
            pail_openat(directory, $0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        }
        guard descriptor >= 0 else { throw CacheExportError(.current) }
        defer { close(descriptor) }
        try inCache(file.copy(to: descriptor))
        if let facts, geteuid() == 0 { _ = fchown(descriptor, facts.user, facts.group) }
        _ = fchmod(descriptor, mode)
        let time = file.modified.timespec
        _ = futimens(descriptor, [time, time])
    }

    private func note(
        _ file: ContentFile, _ extent: ContentFile.Extent, _ target: String, path: [ByteString]?,
        _ facts: TreeSalvage.Facts?
    ) {
        var fields = [LineText.escape(target), "\(file.sizeBytes) bytes"]
        switch extent {
        case .whole:
            whole += 1
            fields.insert("whole", at: 0)
        case .partial(let missing):
            partial += 1
            fields.insert("partial", at: 0)
            fields.append("missing " + Self.text(missing))
        case .unmapped(let holes):
            partial += 1
            fields.insert("unmapped", at: 0)
            fields.append("missing or zero " + Self.text(holes))
        }
        if extent != .whole, let key = facts?.originKey {
            fields.append("of object \(LineText.escape(key.description)) version \(facts?.originTag ?? "?")")
        }
        if target.hasPrefix("lost+found/"), let path { fields.append("was \(LineText.escape(Self.joined(path)))") }
        report.append(fields.joined(separator: "\t"))
    }

    private static func text(_ ranges: [ByteRange]) -> String {
        ranges.map { "\($0.lowerBound)-\($0.upperBound - 1)" }.joined(separator: ",")
    }

    // MARK: What has no content

    /// Symbolic links and directories that the bucket doesn't have; of the rest what it is that waits.
    private func export(_ node: UInt64, _ tree: TreeSalvage) {
        guard let facts = tree.facts[node], facts.links > 0, let parts = tree.path(of: node), !parts.isEmpty else {
            return
        }
        let target = "files/" + Self.joined(parts)
        do throws(CacheExportError) {
            switch facts.mode & S_IFMT {
            case S_IFLNK:
                guard let link = facts.target else { return }
                let (directory, name) = try place(parts, or: target)
                defer { close(directory) }
                let made = link.withCName { link in name.withCName { symlinkat(link, directory, $0) } }
                guard made == 0 else { throw CacheExportError(.current) }
                report.append("link\t\(LineText.escape(target))")
            case S_IFDIR:
                close(try directory(["files"] + parts))
                report.append("directory\t\(LineText.escape(target))")
            default:
                report.append(
                    "attributes\t\(LineText.escape(target))\tor its place changed, its content is in the bucket")
            }
        } catch {
            failed += 1
            report.append("failed\t\(LineText.escape(target))\t\(LineText.escape(error.text))")
        }
    }

    // MARK: Places

    private func place(_ parts: [ByteString]?, or target: String) throws(CacheExportError) -> (Int32, ByteString) {
        if let parts, let last = parts.last { return (try directory(["files"] + parts.dropLast()), last) }
        let pieces = target.split(separator: "/").map { ByteString($0) }
        return (try directory(pieces.dropLast()), pieces.last ?? "")
    }

    /// The directory with these names below the destination, made where it is missing; never through a link. The caller
    /// closes it.
    private func directory(_ parts: [ByteString]) throws(CacheExportError) -> Int32 {
        var current = pail_open(destination, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        for part in parts {
            guard current >= 0 else { break }
            let parent = current
            current = part.withCName { name in
                mkdirat(parent, name, 0o700)
                return pail_openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0)
            }
            let error = errno
            close(parent)
            errno = error
        }
        guard current >= 0 else { throw CacheExportError(.current) }
        return current
    }

    private static func joined(_ parts: [ByteString]) -> String {
        parts.map(\.description).joined(separator: "/")
    }
}

/// Why one file could not be written out.
private struct CacheExportError: Error {
    let text: String
    /// Another name would not help.
    let isFatal: Bool

    /// A name or directory couldn't be made.
    init(_ error: Errno) {
        text = "\(error)"
        isFatal = [ENOSPC, EDQUOT, EIO, EROFS].contains(error.code)
    }

    init(_ error: CacheError) {
        text = "\(error)"
        isFatal = true
    }
}

private func inCache<Result>(_ body: @autoclosure () throws(CacheError) -> Result) throws(CacheExportError) -> Result {
    do { return try body() } catch let error { throw CacheExportError(error) }
}

extension ByteString {
    /// The name as system calls take it.
    fileprivate func withCName<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        let name = bytes.map { CChar(bitPattern: $0) } + [0]
        return name.withUnsafeBufferPointer { body($0.baseAddress!) }
    }
}
