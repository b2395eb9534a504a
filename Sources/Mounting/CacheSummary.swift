import BlockCache
import Glibc
import Primitives
import Tree

/// What a cache directory, or one that was set aside, holds. Only looked at, also while it is mounted.
public struct CacheSummary: Sendable {
    public enum State: Sendable, Equatable {
        case mounted(on: String)
        /// Its daemon is still uploading, or starting.
        case inUse
        case idle
        case setAside(reason: String)
        /// Another version's format, or an identity that can't be read.
        case unusable(reason: String)

        /// For people.
        public var text: String {
            switch self {
            case .mounted(let place): "mounted on \(place)"
            case .inUse: "in use"
            case .idle: "not mounted"
            case .setAside(let reason): "set aside: \(reason)"
            case .unusable(let reason): "not usable: \(reason)"
            }
        }
    }

    public var path: String
    /// `?` where it can't be read.
    public var bucket = "?"
    /// nil where none was given.
    public var endpoint: String?
    public var state = State.idle
    /// What the content takes on the disk.
    public var cachedBytes: Int64 = 0
    /// Files whose content isn't in the bucket, and what they take on the disk.
    public var dirtyFiles = 0
    public var dirtyBytes: Int64 = 0
    /// Files, links and directories that have anything that the bucket doesn't: content, attributes, or their place.
    public var waiting = 0
    /// Of the dirty files, those in `lost+found`: their place or their state is not known.
    public var lostFiles = 0

    /// Something in it isn't in the bucket.
    public var holdsChanges: Bool { dirtyFiles > 0 || waiting > 0 }

    init(_ directory: CacheDirectory, mounts: [MountRegistry.Entry]) {
        path = directory.path
        state = Self.state(directory, mounts)
        switch CacheIdentity.read(directory) {
        case .sound(let identity):
            bucket = identity.bucket
            endpoint = identity.endpoint == "-" ? nil : identity.endpoint
        case .otherFormat(let format) where state == .idle:
            state = .unusable(reason: "format \(format), this version knows \(CacheFormat.current)")
        case .damaged where state == .idle: state = .unusable(reason: "its identity can't be read")
        case .none, .damaged, .otherFormat: break
        }
        ContentFile.forEach(in: path) { count($0) }
        ContentFile.forEachLost(in: path) { file in
            lostFiles += 1
            count(file)
        }
        waiting = TreeSalvage(path: directory.database).waiting.count
    }

    private mutating func count(_ file: ContentFile) {
        cachedBytes += file.allocatedBytes
        guard file.isDirty else { return }
        dirtyFiles += 1
        dirtyBytes += file.allocatedBytes
    }

    private static func state(_ directory: CacheDirectory, _ mounts: [MountRegistry.Entry]) -> State {
        if let reason = SetAside(directory: directory).reason { return .setAside(reason: reason) }
        if let mount = mounts.first(where: { $0.cacheDirectory == directory.path }) {
            return .mounted(on: mount.mountPoint)
        }
        return CacheLock.isHeld(directory) ? .inUse : .idle
    }
}

/// The caches of this user.
public enum CacheCatalog {
    /// Those in the usual place and those of what is mounted, each followed by what was set aside in it.
    public static func all() throws(MountFailure) -> [CacheSummary] {
        let mounts = try MountRegistry().entries()
        let usual = (Directory.entries(CacheDirectory.base) ?? []).sorted().map { CacheDirectory.base + "/" + $0 }
        var paths = usual.filter { CacheDirectory(path: $0).isCache }
        for mount in mounts where !paths.contains(mount.cacheDirectory) { paths.append(mount.cacheDirectory) }
        return paths.flatMap { summaries(of: CacheDirectory(path: $0), mounts) }
    }

    /// The cache at `path` and what was set aside in it; empty if there is none.
    public static func at(_ path: String) throws(MountFailure) -> [CacheSummary] {
        let directory = CacheDirectory(path: path)
        guard directory.isCache || SetAside(directory: directory).reason != nil else { return [] }
        return summaries(of: directory, try MountRegistry().entries())
    }

    private static func summaries(of directory: CacheDirectory, _ mounts: [MountRegistry.Entry]) -> [CacheSummary] {
        let kept = SetAside.all(in: directory).map(\.directory)
        return ([directory] + kept).map { CacheSummary($0, mounts: mounts) }
    }

    /// The one cache that `name` means: its directory, or its bucket's address. `directory` is where relative paths begin.
    public static func find(_ name: String, path: String) throws(MountFailure) -> CacheDirectory {
        let found = try matching(name, path: path).filter {
            if case .setAside = $0.state { $0.path == path } else { true }
        }
        guard let first = found.first else {
            throw MountFailure(.cache, "\(name) is no cache and no bucket with one; pail cache list shows all")
        }
        guard found.count == 1 else {
            let paths = found.map(\.path).joined(separator: ", ")
            throw MountFailure(.cache, "\(name) has several caches, name one of them: \(paths)")
        }
        return CacheDirectory(path: first.path)
    }

    /// The caches that `name` means: those of a directory, or of a bucket.
    public static func matching(_ name: String, path: String) throws(MountFailure) -> [CacheSummary] {
        let here = try at(path)
        if !here.isEmpty { return here }
        return try all().filter { $0.bucket == name || $0.bucket == "file://\(path)" }
    }
}
