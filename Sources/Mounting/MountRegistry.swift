import CSystem
import Configuration
import Glibc
import Primitives

/// Where `pail status` and `pail umount` find the mounts of this user: one small file a daemon, in a directory that
/// nobody else can write to. Its daemon holds a lock on the file, so that it counts as long as the daemon lives, however
/// that ends: a process number may be that of a zombie or of another program by now.
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

    /// Enters a mount, until the registration or the process ends. `process` is whom to end if nothing else helps.
    func add(
        mountPoint: String, cacheDirectory: String, process: Int32
    ) throws(MountFailure) -> Registration {
        let text =
            "pid \(process)\nmountPoint \(LineText.escape(mountPoint))\ncache \(LineText.escape(cacheDirectory))\n"
        // In part random: who removes a dead daemon's file must not hit a new one of the same name.
        let random = String(UInt64.random(in: 0...(.max)), radix: 16)
        let file = "\(path)/\(getpid())-\(random)\(Self.ending)"
        do {
            return Registration(path: file, descriptor: try SmallFile.writeLocked(text, to: file))
        } catch {
            throw MountFailure(.failed, "can't write to \(path): \(error)")
        }
    }

    /// The daemons that run; what dead ones have left is removed.
    public func entries() -> [Entry] {
        var entries: [Entry] = []
        for name in Directory.entries(path) ?? [] where name.hasSuffix(Self.ending) {
            let file = "\(path)/\(name)"
            guard SmallFile.isLocked(file) else {
                unlink(file)
                continue
            }
            guard let text = SmallFile.read(file),
                let process = SmallFile.field("pid", in: text).flatMap({ Int32($0) }),
                let mountPoint = SmallFile.field("mountPoint", in: text),
                let cache = SmallFile.field("cache", in: text)
            else { continue }
            entries.append(Entry(mountPoint: mountPoint, process: process, cacheDirectory: cache))
        }
        return entries.sorted { ($0.mountPoint, $0.process) < ($1.mountPoint, $1.process) }
    }

    /// The mount that `path`, an absolute path, lies in.
    public func entry(containing path: String) -> Entry? {
        let matching = entries().filter { path == $0.mountPoint || path.hasPrefix($0.mountPoint + "/") }
        return matching.max { $0.mountPoint.utf8.count < $1.mountPoint.utf8.count }
    }

    private static let ending = ".mount"
}

/// A daemon's place in the registry.
final class Registration: Sendable {
    let path: String
    let descriptor: Int32

    init(path: String, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    /// To be called once.
    func end() {
        unlink(path)
        close(descriptor)
    }
}
