import Glibc
import Primitives

/// A copy of a database's files in which what the redo log holds has been run, in the directory for temporary files. It is
/// removed with the last reference.
public final class ReplayedCopy {
    public let path: String
    private let directory: String

    /// nil if there is nothing to run, or if it can't be: then the files themselves have to do.
    public init?(of database: String) {
        guard RedoLog.holdsEntries(database: database) else { return nil }
        var template = Array(((getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp") + "/pail-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { return nil }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        path = directory + "/database"
        for ending in Database.endings where !Self.copy(database + ending, to: path + ending) { return nil }
        guard (try? Database(path: path)) != nil else { return nil }
    }

    deinit {
        for ending in Database.endings { unlink(path + ending) }
        rmdir(directory)
    }

    private static func copy(_ from: String, to: String) -> Bool {
        let source = open(from, O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { return errno == ENOENT }
        defer { close(source) }
        let target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard target >= 0 else { return false }
        defer { close(target) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = read(source, &bytes, bytes.count)
            if count == 0 { return true }
            guard count > 0, write(target, bytes, count) == count else { return false }
        }
    }
}
