import CSystem
import Configuration
import Glibc
import Primitives

/// Where `pail status` and `pail umount` find the mounts of this user: one small file a daemon, in a directory that
/// nobody else can write to.
public struct MountRegistry: Sendable {
    /// A daemon that runs.
    public struct Entry: Sendable, Equatable {
        public var mountPoint: String
        public var process: Int32
        public var cacheDirectory: String
    }

    let path: String

    /// The user's directory; created if it is missing.
    public init() throws(MountFailure) {
        if geteuid() == 0 {
            path = "/run/pail"
        } else if let runtime = ProcessEnvironment.value("XDG_RUNTIME_DIR") {
            path = runtime + "/pail"
        } else {
            path = "/tmp/pail-\(geteuid())"
        }
        if mkdir(path, 0o700) != 0, errno != EEXIST {
            throw MountFailure(.failed, "can't create \(path): \(Errno.current)")
        }
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(),
            status.st_mode & 0o077 == 0
        else { throw MountFailure(.failed, "\(path) must be a directory of your own with mode 0700: remove it") }
    }

    func add(mountPoint: String, cacheDirectory: String) throws(MountFailure) {
        let text = "mountPoint \(LineText.escape(mountPoint))\ncache \(LineText.escape(cacheDirectory))\n"
        do {
            try SmallFile.write(text, to: file(getpid()))
        } catch {
            throw MountFailure(.failed, "can't write to \(path): \(error)")
        }
    }

    func remove() { unlink(file(getpid())) }

    /// The daemons that run; what dead ones have left is removed.
    public func entries() -> [Entry] {
        var entries: [Entry] = []
        for name in Directory.entries(path) ?? [] where name.hasSuffix(".mount") {
            guard let process = Int32(name.dropLast(6)), let text = SmallFile.read(file(process)),
                let mountPoint = SmallFile.field("mountPoint", in: text),
                let cache = SmallFile.field("cache", in: text)
            else { continue }
            if kill(process, 0) == 0 || errno == EPERM, CacheLock.isHeld(CacheDirectory(path: cache)) {
                entries.append(Entry(mountPoint: mountPoint, process: process, cacheDirectory: cache))
            } else {
                unlink(file(process))
            }
        }
        return entries.sorted { ($0.mountPoint, $0.process) < ($1.mountPoint, $1.process) }
    }

    /// The mount that `path`, an absolute path, lies in.
    public func entry(containing path: String) -> Entry? {
        let matching = entries().filter { path == $0.mountPoint || path.hasPrefix($0.mountPoint + "/") }
        return matching.max { $0.mountPoint.utf8.count < $1.mountPoint.utf8.count }
    }

    private func file(_ process: Int32) -> String { "\(path)/\(process).mount" }
}
