import CSystem
import Glibc
import ObjectStore
import Primitives

/// What a directory holds, as far as objects are concerned: files and directories.
struct DirectoryEntry {
    let name: ByteString
    let isDirectory: Bool

    /// A directory's name with the slash that its keys have: keys are ordered by bytes, `a.txt` before `a/`.
    var sortKey: ByteString { isDirectory ? name + "/" : name }
}

enum DirectoryNames {
    /// The entries, in no order; nil if the directory was removed since it was opened. With `limit`, only that many
    /// names of any kind; a full list leaves other kinds out.
    static func read(
        _ directory: Descriptor, limit: Int?, _ request: Request
    ) throws(StoreError) -> [DirectoryEntry]? {
        // Not `dup`: that shares the position with other readers of the directory.
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC
        guard let number = try request.checkPresent("open", { pail_openat(directory.number, ".", flags, 0) }) else {
            return nil
        }
        guard let stream = fdopendir(number) else {
            let code = errno
            close(number)
            throw request.failure(Errno(code), "opendir")
        }
        defer { closedir(stream) }
        var entries: [DirectoryEntry] = []
        while limit == nil || entries.count < limit! {
            errno = 0
            guard let entry = readdir(stream) else {
                let code = errno
                if code != 0 { throw request.failure(Errno(code), "readdir") }
                break
            }
            let name = self.name(of: entry)
            if name == "." || name == ".." { continue }
            switch kind(of: entry, name, in: directory) {
            case Int(DT_REG): entries.append(DirectoryEntry(name: name, isDirectory: false))
            case Int(DT_DIR): entries.append(DirectoryEntry(name: name, isDirectory: true))
            default: if limit != nil { entries.append(DirectoryEntry(name: name, isDirectory: false)) }
            }
        }
        return entries
    }

    private static func name(of entry: UnsafeMutablePointer<dirent>) -> ByteString {
        let offset = MemoryLayout<dirent>.offset(of: \.d_name)!
        let start = UnsafeRawPointer(entry).advanced(by: offset).assumingMemoryBound(to: CChar.self)
        return ByteString(cString: start)
    }

    private static func kind(
        of entry: UnsafeMutablePointer<dirent>, _ name: ByteString, in directory: Descriptor
    ) -> Int {
        if entry.pointee.d_type != UInt8(DT_UNKNOWN) { return Int(entry.pointee.d_type) }
        var status = stat()
        let path = name.cString
        guard fstatat(directory.number, path, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return Int(DT_UNKNOWN) }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return Int(DT_REG)
        case S_IFDIR: return Int(DT_DIR)
        default: return Int(DT_UNKNOWN)
        }
    }
}
