import Glibc
import Primitives

/// A file with credentials or settings, read whole.
struct SmallFile {
    /// Longer files are refused: they are something else.
    static let maximumBytes = 1 << 20

    var bytes: [UInt8]
    var owner: uid_t
    var mode: mode_t

    /// nil if there is no such file.
    static func read(_ path: String) throws(CredentialError) -> SmallFile? {
        do {
            let descriptor = try Errno.check { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
            defer { close(descriptor) }
            return try contents(of: descriptor)
        } catch {
            if error.code == ENOENT || error.code == ENOTDIR { return nil }
            throw CredentialError("\(path) can't be read: \(error); check its permissions")
        }
    }

    private static func contents(of descriptor: Int32) throws(Errno) -> SmallFile {
        var status = stat()
        try Errno.check { fstat(descriptor, &status) }
        if status.st_mode & S_IFMT == S_IFDIR { throw Errno(EISDIR) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = try Errno.check { Glibc.read(descriptor, &buffer, buffer.count) }
            if count == 0 { break }
            bytes += buffer[..<count]
            if bytes.count > maximumBytes { throw Errno(EFBIG) }
        }
        return SmallFile(bytes: bytes, owner: status.st_uid, mode: status.st_mode)
    }
}
