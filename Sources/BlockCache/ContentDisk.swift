import CSystem
import Glibc
import Primitives

/// What the file system under a cache can do for contents that others read and write by themselves. Found out by trying:
/// it depends on file system and kernel version.
public struct ContentDisk: Sendable {
    /// It tells whether anybody has a file open or mapped (`Lease`).
    public var tellsUsers = false
    /// Any change of a content that comes after a look at its time, and so long after the change before, changes the
    /// time: writes, and first stores to a mapped page that was written back. 0 where timestamps are finer than the
    /// clock's tick (Linux 6.13 and later); nil where it can't be told.
    public var tickMilliseconds: Int64?
    /// What it takes for stores to show.
    public var writeBack = WriteBack.complete
    /// How many file systems lie on others here, as the kernel counts it: 1 for overlayfs.
    public var stackDepth = 0

    /// Others can read and write contents by themselves, and what they do is noticed.
    public var isFitForPassthrough: Bool { tellsUsers && tickMilliseconds != nil }

    private static let trials = 16
    /// A millisecond apart: the page may still be on its way to the disk.
    private static let protectionAttempts = 500
    private static let pageBytes = 4096
    /// OVERLAYFS_SUPER_MAGIC (statfs(2)).
    private static let overlay: Int64 = 0x794c_7630

    /// A disk of which nothing is known: not fit.
    public init() {}

    /// Tries it with a file in `directory` that has no name. Fails if there can't be one.
    public init(of directory: String) throws(CacheError) {
        let path = directory + "/trial"
        unlink(path)
        let file = try CacheError.check("create", path) {
            pail_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        }
        defer { close(file) }
        unlink(path)
        tellsUsers = Self.tellsUsers(file)
        for tick in [0, BlockCache.Settings.coarseTickMilliseconds] where tickMilliseconds == nil {
            guard let writeBack = try Self.tellsChanges(file, path, tick) else { continue }
            tickMilliseconds = tick
            self.writeBack = writeBack
        }
        stackDepth = pail_file_system_type(file) == Self.overlay ? 1 : 0
    }

    private static func tellsUsers(_ file: Int32) -> Bool {
        guard !Lease.isRefused(file) else { return false }
        let other = pail_open("/proc/self/fd/\(file)", O_RDONLY | O_CLOEXEC, 0)
        guard other >= 0 else { return false }
        let isRefused = Lease.isRefused(file)
        close(other)
        return isRefused && !Lease.isRefused(file)
    }

    /// How stores to mapped memory can be told; nil if they or writes can't.
    private static func tellsChanges(_ file: Int32, _ path: String, _ tick: Int64) throws(CacheError) -> WriteBack? {
        let page = [UInt8](repeating: 1, count: pageBytes)
        for _ in 0..<(tick == 0 ? trials : 2) {
            let before = try modified(file, path)
            usleep(UInt32(tick) * 1000)
            try CacheError.check("write", path) { pwrite(file, page, page.count, 0) }
            if try modified(file, path) == before { return nil }
        }
        let map = mmap(nil, pageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
        guard let map, map != MAP_FAILED else { return nil }
        defer { munmap(map, pageBytes) }
        for writeBack in WriteBack.allCases {
            if try tellsStores(file, path, tick, map, writeBack) { return writeBack }
        }
        return nil
    }

    private static func tellsStores(
        _ file: Int32, _ path: String, _ tick: Int64, _ map: UnsafeMutableRawPointer, _ writeBack: WriteBack
    ) throws(CacheError) -> Bool {
        for number in 0..<UInt8(2) {
            guard try isProtected(file, path, writeBack) else { return false }
            let before = try modified(file, path)
            usleep(UInt32(tick) * 1000)
            map.storeBytes(of: number, as: UInt8.self)
            if try modified(file, path) == before { return false }
        }
        return true
    }

    private static func isProtected(_ file: Int32, _ path: String, _ writeBack: WriteBack) throws(CacheError) -> Bool {
        for _ in 0..<protectionAttempts {
            do throws(CacheError) {
                if try writeBack.protect(file, path) { return true }
            } catch {
                // The kernel has no such call.
                return false
            }
            usleep(1000)
        }
        return false
    }

    private static func modified(_ file: Int32, _ path: String) throws(CacheError) -> Timestamp {
        var status = stat()
        try CacheError.check("stat", path) { fstat(file, &status) }
        return Timestamp(status.st_mtim)
    }
}
