import CSystem
import Configuration
import Glibc
import Primitives

/// What belongs to one mount on the local disk: `tree.db`, `content/`, `lost+found/`, `set-aside/`, `control.sock`, `log`,
/// `lock`, `identity`, `running`, `capabilities` (docs/CACHE.md).
/// Only its owner may look into it.
public struct CacheDirectory: Sendable {
    public let path: String

    public var database: String { path + "/tree.db" }
    public var content: String { path + "/content" }
    public var log: String { path + "/log" }
    var capabilities: String { path + "/capabilities" }
    var control: String { path + "/control.sock" }
    var lockFile: String { path + "/lock" }
    var identityFile: String { path + "/identity" }
    var runningFile: String { path + "/running" }

    var lostAndFound: String { path + "/lost+found" }
    var setAside: String { path + "/set-aside" }

    public init(path: String) { self.path = path }

    /// Where the cache of this mount lies: as configured, or in a directory of its own below the user's cache
    /// directory.
    public init(for configuration: MountConfiguration) {
        if let directory = configuration.cache.directory {
            path = directory
            return
        }
        let address = configuration.bucket?.description ?? ""
        path = Self.base + "/" + Self.name(of: address, endpoint: Backend.givenEndpoint(configuration))
    }

    /// `/var/cache/pail` for root, else as the XDG Base Directory Specification has it.
    static var base: String {
        if geteuid() == 0, ProcessEnvironment.value("XDG_CACHE_HOME") == nil { return "/var/cache/pail" }
        let base = ProcessEnvironment.value("XDG_CACHE_HOME") ?? ProcessEnvironment.home + "/.cache"
        return base + "/pail"
    }

    /// A readable part and a hash that tells buckets apart.
    static func name(of address: String, endpoint: String?) -> String {
        let readable = address.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "-") ? $0 : "-" }
        var parts = String(readable).split(separator: "-")
        if parts.first == "s3" || parts.first == "file" { parts.removeFirst() }
        let text = "\(address)\n\(endpoint ?? "")"
        return String(parts.joined(separator: "-").prefix(60)) + "-" + ByteString(text).fnv1aHexadecimal
    }

    /// Creates what is missing and checks that the directory is the user's own and no other program's.
    public func prepare() throws(MountFailure) {
        try createParents()
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw failure("can't be created", .current) }
        let descriptor = pail_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { throw failure("can't be opened", .current) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("can't be read", .current) }
        guard status.st_uid == geteuid() else {
            throw MountFailure(
                .cache, "cache directory \(path) is another user's: name one of your own with --cache-dir")
        }
        if access(identityFile, F_OK) != 0, let stranger = Directory.entries(path)?.first(where: { !isOurs($0) }) {
            throw MountFailure(
                .cache,
                "cache directory \(path) holds other things (\(stranger)): name a new or empty one with --cache-dir")
        }
        if status.st_mode & 0o777 != 0o700, fchmod(descriptor, 0o700) != 0 {
            throw failure("can't be made private", .current)
        }
        if mkdir(content, 0o700) != 0, errno != EEXIST { throw failure("can't be written", .current) }
    }

    /// Bytes free for this user on the disk that it lies on.
    func freeBytes() -> Int64 {
        var statistics = statvfs()
        guard statvfs(path, &statistics) == 0 else { return 0 }
        return Int64(statistics.f_bavail) * Int64(statistics.f_frsize)
    }

    func failure(_ what: String, _ error: Errno) -> MountFailure {
        let advice = error.code == ENOSPC ? ": free some space or name another one with --cache-dir" : ""
        return MountFailure(.cache, "cache directory \(path) \(what): \(error)\(advice)")
    }

    private static let ownNames = ["log", "log.old", "lock", "content", "running", "identity.new", "set-aside"]
    /// What a cache whose identity was lost may hold besides.
    private static let cacheNames = [
        "tree.db", "tree.db-wal", "tree.db-redo", "lost+found", "capabilities", "control.sock",
    ]

    private func isOurs(_ name: String) -> Bool {
        Self.ownNames.contains(name) || (Self.cacheNames.contains(name) && Directory.exists(content))
    }

    /// Whether it is, or was, a cache.
    var isCache: Bool { Directory.exists(identityFile) || Directory.exists(database) || Directory.exists(setAside) }

    private func createParents() throws(MountFailure) {
        var parent = ""
        for part in path.split(separator: "/").dropLast() {
            parent += "/" + part
            if mkdir(parent, 0o700) != 0, errno != EEXIST {
                let error = Errno.current
                if access(parent, F_OK) != 0 { throw failure("can't be created", error) }
            }
        }
    }
}

/// The names in a directory.
enum Directory {
    static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    /// 0 if there is no such file.
    static func sizeBytes(_ path: String) -> Int64 {
        var status = stat()
        return lstat(path, &status) == 0 ? Int64(status.st_size) : 0
    }

    /// Returns when the names in it survive power loss, as far as the disk allows.
    static func sync(_ path: String) {
        let descriptor = pail_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    /// Removes a file, or a directory with all that is in it. Follows no links.
    static func remove(_ path: String) throws(Errno) {
        if unlink(path) == 0 || errno == ENOENT { return }
        guard errno == EISDIR || errno == EPERM else { throw .current }
        while let names = entries(path), !names.isEmpty {
            for name in names { try remove(path + "/" + name) }
        }
        try Errno.check { rmdir(path) }
    }

    /// At most a thousand, without `.` and `..`; nil if it can't be read.
    static func entries(_ path: String, limit: Int = 1000) -> [String]? {
        guard let directory = opendir(path) else { return nil }
        defer { closedir(directory) }
        var names: [String] = []
        while names.count < limit, let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}
