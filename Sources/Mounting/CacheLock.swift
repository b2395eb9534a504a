import CSystem
import Glibc
import Primitives

/// The right to be the one daemon on a cache directory. Ends with the process at the latest, however it ends.
final class CacheLock: Sendable {
    /// To be left to a keeper: the lock is held as long as it is open anywhere.
    let descriptor: Int32

    /// nil while another process holds it.
    convenience init?(_ directory: CacheDirectory) throws(MountFailure) {
        let descriptor = pail_open(directory.lockFile, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw directory.failure("can't be locked", .current) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            return nil
        }
        self.init(of: descriptor)
    }

    /// Takes over the lock of another daemon by its descriptor.
    init(of descriptor: Int32) {
        let text = Array("\(getpid())\n".utf8)
        // The number is for people; the lock itself counts.
        _ = ftruncate(descriptor, 0)
        _ = pwrite(descriptor, text, text.count, 0)
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Whether a process holds the cache directory's lock. One that may not be looked at counts as held.
    static func isHeld(_ directory: CacheDirectory) -> Bool { SmallFile.isLocked(directory.lockFile) }

    /// The process that holds it.
    static func holder(_ directory: CacheDirectory) -> String {
        let text = SmallFile.read(directory.lockFile) ?? ""
        let number = text.prefix { $0.isNumber }
        return number.isEmpty ? "another process" : "pid \(number)"
    }
}
