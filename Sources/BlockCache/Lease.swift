import CSystem
import Glibc

/// Tells whether anybody else has a file open or mapped: then a lease for writing can't be had (fcntl(2), F_SETLEASE).
/// Where there are no leases, nobody is taken to have it. A lease is given back at once; who opens the file in between
/// waits for that, and sends SIGIO.
enum Lease {
    // <fcntl.h> shows it under _GNU_SOURCE only: F_SETLEASE.
    private static let set: Int32 = 1024
    private static let write = Int(F_WRLCK)
    private static let none = Int(F_UNLCK)

    /// Whether anybody has the file open or mapped.
    static func isOpen(_ path: String) -> Bool {
        let descriptor = pail_open(path, O_RDWR | O_CLOEXEC, 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return isRefused(descriptor)
    }

    static func isRefused(_ descriptor: Int32) -> Bool {
        if pail_fcntl(descriptor, set, write) == 0 {
            _ = pail_fcntl(descriptor, set, none)
            return false
        }
        return errno == EAGAIN || errno == EBUSY
    }
}
