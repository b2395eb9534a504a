import Configuration
import Glibc
import Primitives

/// The directory to mount on.
public struct MountPoint: Sendable {
    public let path: String

    public init(_ path: String) { self.path = path }

    /// Refuses what can't be mounted on. A mount of pail's whose daemon has died is taken away first.
    func check(_ configuration: MountConfiguration, cache: CacheDirectory) async throws(MountFailure) {
        if mountedType == "fuse.pail", await isDead() {
            guard case .done = unmount(lazily: true) else {
                throw MountFailure(.mountPoint, "\(path) is a mount whose daemon has died: run fusermount3 -u \(path)")
            }
        }
        var status = stat()
        guard stat(path, &status) == 0 else { throw unusable(Errno.current) }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw MountFailure(.mountPoint, "mount point \(path) is not a directory")
        }
        if let type = mountedType {
            throw MountFailure(.mountPoint, "\(path) is a mount point already (\(type)): unmount it first")
        }
        if geteuid() != 0, access(path, W_OK) != 0 {
            throw MountFailure(.mountPoint, "mount point \(path) must be writable for you: choose one of your own")
        }
        if !configuration.nonEmpty, let entry = Directory.entries(path, limit: 1)?.first {
            throw MountFailure(
                .mountPoint, "mount point \(path) is not empty (\(entry)): choose an empty directory, or --non-empty")
        }
        try checkOverlaps(configuration, cache)
    }

    /// A bucket or a cache that lies in its own mount would wait for itself.
    private func checkOverlaps(_ configuration: MountConfiguration, _ cache: CacheDirectory) throws(MountFailure) {
        let mount = Self.resolved(path)
        let content = Self.resolved(cache.path)
        if Self.contains(mount, content) {
            throw MountFailure(.mountPoint, "the cache directory \(content) can't lie in the mount point \(mount)")
        }
        guard case .local(let bucket)? = configuration.bucket else { return }
        let store = Self.resolved(bucket)
        if Self.contains(mount, store) || Self.contains(store, mount) {
            throw MountFailure(.mountPoint, "the mount point \(mount) and the bucket \(store) can't lie in each other")
        }
        if Self.contains(store, content) {
            throw MountFailure(.cache, "the cache directory \(content) can't lie in the bucket \(store)")
        }
    }

    private static func contains(_ outer: String, _ inner: String) -> Bool {
        inner == outer || inner.hasPrefix(outer == "/" ? "/" : outer + "/")
    }

    /// The path without symbolic links, as far as it exists.
    public static func resolved(_ path: String) -> String {
        guard let real = realpath(path, nil) else { return path }
        defer { free(real) }
        return String(cString: real)
    }

    /// Whether there is anything at the path, be it a broken link.
    public static func exists(_ path: String) -> Bool { Directory.exists(path) }

    private static let answerMilliseconds: Int64 = 5_000

    /// Whether the daemon of the mount here has died. Asked by statfs(2): stat(2) may still be answered from what the
    /// kernel remembers.
    private func isDead() async -> Bool {
        let path = path
        let code = await Threads.value(withinMilliseconds: Self.answerMilliseconds) { () -> Int32 in
            var statistics = statvfs()
            return statvfs(path, &statistics) == 0 ? 0 : errno
        }
        return code == ENOTCONN
    }

    private func unusable(_ error: Errno) -> MountFailure {
        let advice = error.code == ENOENT ? ": create it with mkdir -p \(path)" : ""
        return MountFailure(.mountPoint, "mount point \(path): \(error)\(advice)")
    }

    /// The type of the file system that is mounted exactly here (`fuse.pail`), nil if there is none.
    var mountedType: String? {
        let wanted = Self.resolvedParent(path)
        return MountTable.entries().last { $0.mountPoint == wanted }?.type
    }

    /// A dead mount can't be resolved itself, the directory that it lies in can.
    private static func resolvedParent(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/"), path != "/" else { return path }
        let parent = path[..<slash]
        let real = resolved(parent.isEmpty ? "/" : String(parent))
        return (real == "/" ? "" : real) + path[slash...]
    }

    /// Takes away a mount of pail's that has no daemon any more; false if there is none here.
    public func unmountOrphan() throws(MountFailure) -> Bool {
        guard mountedType == "fuse.pail" else { return false }
        switch unmount(lazily: false) {
        case .done: return true
        case .busy: throw busy
        case .failed(let reason): throw MountFailure(.mountPoint, "can't unmount \(path): \(reason)")
        }
    }

    var busy: MountFailure {
        MountFailure(
            .mountPoint,
            "\(path) is busy: a program has a file open or works in it (fuser -vm \(path) shows which): "
                + "end it, or use --force")
    }

    /// How an attempt to unmount ended.
    enum Unmounting: Sendable, Equatable {
        case done
        case busy
        case failed(String)
    }

    /// Takes the mount away; lazily: out of the tree at once, and for good when the last open file is closed.
    func unmount(lazily: Bool) -> Unmounting {
        // MNT_DETACH and UMOUNT_NOFOLLOW of umount2(2).
        let flags: Int32 = (lazily ? 2 : 0) | 8
        if umount2(path, flags) == 0 { return .done }
        switch errno {
        case EBUSY: return .busy
        case EINVAL: return .done
        case EPERM: break
        default: return .failed("\(Errno.current)")
        }
        let arguments = lazily ? ["-u", "-z", path] : ["-u", path]
        guard let result = Command.run("fusermount3", arguments) else {
            return .failed("fusermount3 can't be run: install the package fuse3")
        }
        if result.status == 0 { return .done }
        return result.errors.contains("busy") ? .busy : .failed(result.errors)
    }
}

/// What is mounted where (proc(5), mountinfo).
enum MountTable {
    struct Entry: Sendable, Equatable {
        var mountPoint: String
        var type: String
    }

    static func entries() -> [Entry] {
        guard let file = fopen("/proc/self/mountinfo", "re") else { return [] }
        defer { fclose(file) }
        var entries: [Entry] = []
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        while getline(&line, &capacity, file) > 0, let text = line {
            if let entry = parse(String(cString: text)) { entries.append(entry) }
        }
        return entries
    }

    /// `36 35 98:0 /root /mount/point options optional… - type source options`
    static func parse(_ line: String) -> Entry? {
        let fields = line.split(whereSeparator: { $0 == " " || $0 == "\n" })
        guard fields.count > 6, let dash = fields[6...].firstIndex(of: "-"), dash + 1 < fields.count else { return nil }
        return Entry(mountPoint: unescape(fields[4]), type: String(fields[dash + 1]))
    }

    /// Space, tab, line feed and backslash are written as a backslash and three octal digits.
    private static func unescape(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3,
                let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
