import CFuse
import CSystem
import Glibc
import Primitives

/// The directory a session is mounted on.
struct MountPoint: Sendable {
    let path: String

    /// Takes the mount away; a lazy one disappears at once and ends when nothing in it is open any more.
    func detach(lazily: Bool) throws(FuseError) {
        if umount2(path, Int32(lazily ? MNT_DETACH : 0)) == 0 { return }
        let error = Errno.current
        if error.code == EBUSY { throw .busy(path: path) }
        guard error.code == EPERM else { throw .unmount(path: path, error) }
        let code = Self.run(["fusermount3", "-u", "-q"] + (lazily ? ["-z"] : []) + ["--", path])
        if code != 0 { throw .busy(path: path) }
    }

    /// Ends every request with an error and detaches. False for an ordinary user, who may not.
    @discardableResult
    func abort() -> Bool { umount2(path, Int32(MNT_FORCE | MNT_DETACH)) == 0 }

    /// Sets how far the kernel reads ahead. libfuse can't ask for more than the default of 128 KiB, but
    /// /sys/class/bdi can (Documentation/ABI/testing/sysfs-class-bdi). Needs root, and requests being answered.
    func setReadAhead(kibibytes: Int) throws(Errno) {
        var status = stat()
        // AT_STATX_DONT_SYNC: what the kernel knows is enough.
        try Errno.check { fstatat(AT_FDCWD, path, &status, 0x4000) }
        let device = "\(pail_major(status.st_dev)):\(pail_minor(status.st_dev))"
        let file = try Errno.check {
            pail_open("/sys/class/bdi/\(device)/read_ahead_kb", O_WRONLY | O_CLOEXEC, 0)
        }
        defer { close(file) }
        let value = Array("\(kibibytes)".utf8)
        try Errno.check { write(file, value, value.count) }
    }

    /// Runs a command and waits; its exit code, or 127 if there is none.
    private static func run(_ arguments: [String]) -> Int32 {
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        var process = pid_t()
        guard posix_spawnp(&process, pointers[0]!, nil, nil, pointers, environ) == 0 else { return 127 }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 { if errno != EINTR { return 127 } }
        return status & 0x7f == 0 ? (status >> 8) & 0xff : 127
    }
}
