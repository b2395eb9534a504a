import CSystem
import Glibc
import ObjectStore
import Primitives

/// User metadata and content type of one object, and when they were set (nanoseconds; the version of a marker).
struct StoredMetadata: Equatable {
    var setAt: Int64
    var contentType: String?
    var metadata: Metadata

    /// NUL-separated text: the time in decimal, the content type, then name and value in turn. nil if a text holds a NUL.
    var encoded: [UInt8]? {
        var texts = ["\(setAt)", contentType ?? ""]
        for (name, value) in metadata.sorted(by: { $0.key < $1.key }) { texts += [name, value] }
        if texts.contains(where: { $0.utf8.contains(0) }) { return nil }
        return Array(texts.joined(separator: "\0").utf8)
    }

    init(setAt: Int64, contentType: String?, metadata: Metadata) {
        self.setAt = setAt
        self.contentType = contentType
        self.metadata = metadata
    }

    /// What isn't in this form counts as none.
    init?(encoded: [UInt8]) {
        let texts = encoded.split(separator: 0, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        guard texts.count >= 2, texts.count % 2 == 0, let setAt = Int64(texts[0]) else { return nil }
        self.setAt = setAt
        contentType = texts[1].isEmpty ? nil : texts[1]
        metadata = [:]
        for index in stride(from: 2, to: texts.count, by: 2) { metadata[texts[index]] = texts[index + 1] }
    }
}

/// Where metadata is kept: in the extended attribute `user.pail.meta`, or where the file system has none, in files
/// `.pail-store/meta/INODE`. Both belong to the inode, so that they come and go with a rename of the object's file.
enum MetadataKeeper {
    case attribute
    /// The open `.pail-store/meta`; nil while it doesn't exist.
    case sidecar(Descriptor?)

    static let attributeName = "user.pail.meta"
    /// ext4 keeps all attributes of a file in one block of 4 KiB.
    static let maximumBytes = 3500

    func read(_ descriptor: Descriptor, _ request: Request) throws(StoreError) -> StoredMetadata? {
        var bytes = [UInt8](repeating: 0, count: Self.maximumBytes + 500)
        let capacity = bytes.count
        let count: Int
        switch self {
        case .attribute:
            count = bytes.withUnsafeMutableBytes {
                Int(pail_fgetxattr(descriptor.number, Self.attributeName, $0.baseAddress, capacity))
            }
            if count < 0 {
                let code = errno
                if [ENODATA, ENOTSUP, EACCES, ERANGE].contains(code) { return nil }
                throw request.failure(Errno(code), "getxattr")
            }
        case .sidecar(let directory):
            guard let directory else { return nil }
            let name = try Self.sidecarName(descriptor, request)
            guard
                let number = try request.checkPresent(
                    "open", { pail_openat(directory.number, name, O_RDONLY | O_CLOEXEC, 0) })
            else { return nil }
            let file = Descriptor(number)
            count = try request.check("read") {
                bytes.withUnsafeMutableBytes { Glibc.read(file.number, $0.baseAddress, capacity) }
            }
        }
        return StoredMetadata(encoded: Array(bytes[..<count]))
    }

    func write(_ stored: StoredMetadata, to descriptor: Descriptor, _ request: Request) throws(StoreError) {
        guard let bytes = stored.encoded, bytes.count <= Self.maximumBytes else {
            throw request.error(.refused, "metadata that is too large or holds a NUL")
        }
        switch self {
        case .attribute:
            try request.check("setxattr") {
                pail_fsetxattr(descriptor.number, Self.attributeName, bytes, bytes.count, 0)
            }
        case .sidecar(let directory):
            guard let directory else { throw request.error(.unavailable, "no directory for metadata") }
            try Self.replaceSidecar(Self.sidecarName(descriptor, request), in: directory, bytes, request)
        }
    }

    /// Forgets the metadata of an inode that is about to go, or of a directory that is no marker any more.
    func remove(_ descriptor: Descriptor, _ request: Request) throws(StoreError) {
        switch self {
        case .attribute:
            if pail_fremovexattr(descriptor.number, Self.attributeName) != 0 {
                let code = errno
                if code != ENODATA && code != ENOTSUP { throw request.failure(Errno(code), "removexattr") }
            }
        case .sidecar(let directory):
            guard let directory else { return }
            _ = try unlinkat(directory.number, Self.sidecarName(descriptor, request), 0)
        }
    }

    private static func sidecarName(_ descriptor: Descriptor, _ request: Request) throws(StoreError) -> String {
        var status = stat()
        try request.check("fstat") { fstat(descriptor.number, &status) }
        return String(status.st_ino)
    }

    private static func replaceSidecar(
        _ name: String, in directory: Descriptor, _ bytes: [UInt8], _ request: Request
    ) throws(StoreError) {
        let temporary = "\(name).\(UInt64.random(in: 0...UInt64.max)).new"
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC
        let file = Descriptor(try request.check("open") { pail_openat(directory.number, temporary, flags, 0o600) })
        do throws(StoreError) {
            let count = try request.check("write") { Glibc.write(file.number, bytes, bytes.count) }
            if count != bytes.count { throw request.error(.outOfSpace, "metadata was not written whole") }
            try request.check("fsync") { fsync(file.number) }
            try request.check("rename") { renameat(directory.number, temporary, directory.number, name) }
            try request.check("fsync") { fsync(directory.number) }
        } catch {
            unlinkat(directory.number, temporary, 0)
            throw error
        }
    }
}
