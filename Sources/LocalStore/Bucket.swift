import CSystem
import Glibc
import ObjectStore
import Primitives

/// The bucket's directory, open for one call. Paths are walked name by name and symbolic links are never followed, so
/// that no key leads out of it.
struct Bucket {
    /// How often a write starts over because its directory was removed under it.
    static let maximumAttempts = 32
    private static let lockStripes: UInt64 = 64
    private static let directoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC

    let root: Descriptor
    let clock: VersionClock
    private let avoidsAttributes: Bool

    init(path: String, clock: VersionClock, avoidsAttributes: Bool, _ request: Request) throws(StoreError) {
        do throws(Errno) {
            root = Descriptor(try Errno.check { pail_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0) })
        } catch {
            if error.code == ENOENT || error.code == ENOTDIR {
                throw request.error(.noBucket, "\(path): \(error)")
            }
            throw request.failure(error, "open the bucket's directory")
        }
        self.clock = clock
        self.avoidsAttributes = avoidsAttributes
    }

    // MARK: Directories

    /// The directory at `names` below the bucket's, or nil if there is none.
    func directory(_ names: some Sequence<ByteString>, _ request: Request) throws(StoreError) -> Descriptor? {
        var directory = root
        for name in names {
            guard let next = try Self.open(name, in: directory, request) else { return nil }
            directory = next
        }
        return directory
    }

    static func open(
        _ name: ByteString, in directory: Descriptor, _ request: Request
    ) throws(StoreError) -> Descriptor? {
        let path = name.cString
        return try request.checkPresent("open") { pail_openat(directory.number, path, directoryFlags, 0) }
            .map { Descriptor($0) }
    }

    /// As `directory`, making what is missing. nil if another request removed one of them meanwhile.
    func makeDirectories(_ names: some Sequence<ByteString>, _ request: Request) throws(StoreError) -> Descriptor? {
        var directory = root
        for name in names {
            if let next = try Self.open(name, in: directory, request) {
                directory = next
                continue
            }
            let path = name.cString
            if mkdirat(directory.number, path, 0o777) == 0 {
                try request.check("fsync") { fsync(directory.number) }
            } else {
                let code = errno
                if code == ENOENT { return nil }
                if code != EEXIST { throw request.failure(Errno(code), "mkdir") }
            }
            guard let next = try Self.open(name, in: directory, request) else {
                var status = stat()
                if fstatat(directory.number, path, &status, AT_SYMLINK_NOFOLLOW) != 0 { return nil }
                if status.st_mode & S_IFMT == S_IFDIR { return nil }
                throw request.error(.refused, "“\(name)” is no directory, so that nothing can be below it")
            }
            directory = next
        }
        return directory
    }

    /// A directory of the store's own.
    func ownDirectory(_ name: ByteString, _ request: Request) throws(StoreError) -> Descriptor {
        var directory = root
        for part in [ObjectPath.reserved, name] {
            let path = part.cString
            if mkdirat(directory.number, path, 0o700) != 0 {
                let code = errno
                if code != EEXIST { throw request.failure(Errno(code), "mkdir") }
            }
            guard let next = try Self.open(part, in: directory, request) else {
                throw request.error(.unavailable, "\(ObjectPath.reserved) is no directory")
            }
            directory = next
        }
        return directory
    }

    // MARK: Locks and metadata

    /// Excludes other writers of the key, in this process and in others, until the descriptor is gone. Not more than one
    /// is held at a time, and only for the check of a condition and the step that depends on it.
    func lock(_ key: ByteString, _ request: Request) throws(StoreError) -> Descriptor {
        let directory = try ownDirectory("locks", request)
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in key.bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        let name = String((hash ^ (hash >> 32)) % Self.lockStripes)
        let flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC
        let file = Descriptor(try request.check("open lock") { pail_openat(directory.number, name, flags, 0o600) })
        try request.check("flock") { flock(file.number, LOCK_EX) }
        return file
    }

    /// Where this file system keeps metadata; `forWriting` makes the directory for it if there is need.
    func keeper(forWriting: Bool = false, _ request: Request) throws(StoreError) -> MetadataKeeper {
        if !avoidsAttributes, pail_fgetxattr(root.number, MetadataKeeper.attributeName, nil, 0) >= 0 || errno != ENOTSUP
        {
            return .attribute
        }
        if forWriting { return .sidecar(try ownDirectory("meta", request)) }
        return .sidecar(try directory([ObjectPath.reserved, "meta"], request))
    }
}

/// Modification times for new versions: the clock's, but no two the same in this process.
final class VersionClock: Sendable {
    private let time: any TimeSource
    private let last = Lock(Int64(0))

    init(_ time: any TimeSource) { self.time = time }

    func next() -> Timestamp {
        let now = time.now().nanoseconds
        return last.withLock { last in
            last = max(now, last + 1)
            return Timestamp(nanoseconds: last)
        }
    }
}
