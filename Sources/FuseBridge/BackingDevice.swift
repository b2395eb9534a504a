import CFuse
import CSystem
import Glibc

/// Tells the kernel which files it may read and write by itself: `Linux/Documentation/filesystems/fuse-passthrough`.
/// An id holds the file open, and outlives this process with the mount. Needs CAP_SYS_ADMIN.
struct BackingDevice: Sendable {
    /// /dev/fuse, after the handshake.
    let descriptor: Int32

    // FUSE_DEV_IOC_BACKING_OPEN and FUSE_DEV_IOC_BACKING_CLOSE: _IOW(229, 1, struct fuse_backing_map), _IOW(229, 2, uint32_t).
    private static let openRequest: UInt = 1 << 30 | 16 << 16 | 229 << 8 | 1
    private static let closeRequest: UInt = 1 << 30 | 4 << 16 | 229 << 8 | 2

    /// The id for an open file; nil, and errno, if it can't be had.
    func open(_ file: Int32) -> Int32? {
        var map = pail_backing_map(fd: file, flags: 0, padding: 0)
        let id = pail_ioctl(descriptor, Self.openRequest, &map)
        return id > 0 ? id : nil
    }

    /// Whether this process may, with files that lie where the one at `path` does.
    func isAllowed(_ path: String) -> Bool {
        let file = pail_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard file >= 0 else { return false }
        defer { Glibc.close(file) }
        guard let id = open(file) else { return false }
        close(id)
        return true
    }

    func close(_ id: Int32) {
        var number = UInt32(bitPattern: id)
        _ = pail_ioctl(descriptor, Self.closeRequest, &number)
    }
}
