import CSystem
import Glibc
import Primitives

/// Files of a few lines: markers, identities, registrations.
enum SmallFile {
    private static let maximumBytes = 64 << 10

    /// The file's text, or nil if it can't be read.
    static func read(_ path: String) -> String? {
        let descriptor = pail_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: maximumBytes)
        var filled = 0
        while filled < maximumBytes {
            let count = bytes.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress! + filled, maximumBytes - filled)
            }
            if count < 0, errno == EINTR { continue }
            if count < 0 { return nil }
            if count == 0 { break }
            filled += count
        }
        return String(decoding: bytes[..<filled], as: UTF8.self)
    }

    /// Replaces the file whole, mode 0600, and on disk when this returns.
    static func write(_ text: String, to path: String) throws(Errno) {
        close(try replace(path, with: text, locked: false))
    }

    /// As `write`, and whoever sees the file sees it locked (flock(2)) until the descriptor that this returns is closed.
    static func writeLocked(_ text: String, to path: String) throws(Errno) -> Int32 {
        try replace(path, with: text, locked: true)
    }

    /// Whether a process holds the file's lock. A file that may not be looked at counts as locked.
    static func isLocked(_ path: String) -> Bool {
        let descriptor = pail_open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0)
        guard descriptor >= 0 else { return errno != ENOENT && errno != ENOTDIR }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_SH | LOCK_NB) != 0
    }

    private static func replace(_ path: String, with text: String, locked: Bool) throws(Errno) -> Int32 {
        let temporary = path + ".new"
        let descriptor = try Errno.check {
            pail_open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        }
        do throws(Errno) {
            if locked { try Errno.check { flock(descriptor, LOCK_EX | LOCK_NB) } }
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                let count = try Errno.check {
                    rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
                }
                rest = rest.dropFirst(count)
            }
            try Errno.check { fsync(descriptor) }
            try Errno.check { rename(temporary, path) }
        } catch {
            close(descriptor)
            throw error
        }
        syncParent(of: path)
        return descriptor
    }

    private static func syncParent(of path: String) {
        let slash = path.lastIndex(of: "/") ?? path.startIndex
        let directory = pail_open(String(path[..<slash]) + "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard directory >= 0 else { return }
        fsync(directory)
        close(directory)
    }

    /// The last line of a file that may be long.
    static func lastLine(_ path: String) -> String? {
        let descriptor = pail_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        let end = lseek(descriptor, 0, SEEK_END)
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = pread(descriptor, &bytes, bytes.count, max(0, end - bytes.count))
        guard count > 0 else { return nil }
        return bytes[..<count].split(separator: 10).last.map { String(decoding: $0, as: UTF8.self) }
    }

    /// The value after `name ` on a line of its own.
    static func field(_ name: String, in text: String) -> String? {
        for line in text.split(separator: "\n") where line.hasPrefix(name + " ") {
            return LineText.unescape(String(line.dropFirst(name.count + 1)))
        }
        return nil
    }
}

/// Any text on one line: `%`, line feeds and carriage returns as `%` and two hexadecimal digits.
enum LineText {
    static func escape(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == 10 || $0 == 13 || $0 == 37 }) else { return text }
        var result: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 10: result += Array("%0A".utf8)
            case 13: result += Array("%0D".utf8)
            case 37: result += Array("%25".utf8)
            default: result.append(byte)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    static func unescape(_ text: String) -> String {
        var result: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == 37, rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                result.append(value)
                rest = rest.dropFirst(2)
            } else {
                result.append(byte)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
