import CSystem
import Glibc
import ObjectStore
import Primitives

/// An object's file, or the directory that a marker stands for, open for reading.
struct LocalObject {
    let key: ByteString
    let descriptor: Descriptor
    let status: stat
    let stored: StoredMetadata?
    let isMarker: Bool

    var sizeBytes: Int64 { isMarker ? 0 : Int64(status.st_size) }

    var etag: ETag { isMarker ? Self.markerTag(status, stored) : Self.tag(status) }

    var info: ObjectInfo {
        ObjectInfo(
            key: key, sizeBytes: sizeBytes, etag: etag, lastModified: lastModified,
            metadata: stored?.metadata ?? [:], contentType: stored?.contentType)
    }

    private var lastModified: Timestamp {
        if isMarker, let stored { return Timestamp(nanoseconds: stored.setAt) }
        return Timestamp(status.st_mtim)
    }

    /// A file's version: every change of content, by whomever, and every rewrite of metadata changes a part of it.
    static func tag(_ status: stat) -> ETag {
        let parts = [
            Int64(bitPattern: UInt64(status.st_ino)), Int64(status.st_size), Timestamp(status.st_mtim).nanoseconds,
            Timestamp(status.st_ctim).nanoseconds,
        ]
        return ETag("\"" + parts.map { String($0, radix: 36) }.joined(separator: "-") + "\"")
    }

    /// A marker's version: a directory's own times change with what is made in it.
    static func markerTag(_ status: stat, _ stored: StoredMetadata?) -> ETag {
        ETag("\"d\(String(status.st_ino, radix: 36))-\(String(stored?.setAt ?? 0, radix: 36))\"")
    }

    static func status(_ descriptor: Descriptor, _ request: Request) throws(StoreError) -> stat {
        var status = stat()
        try request.check("fstat") { fstat(descriptor.number, &status) }
        return status
    }
}

extension Bucket {
    /// The present version under `key`, or nil. A key that a directory can't hold has none.
    func object(_ key: ByteString, _ request: Request) throws(StoreError) -> LocalObject? {
        guard let path = try? ObjectPath(key), let parent = try directory(path.parents, request) else { return nil }
        return try object(path, in: parent, key, request)
    }

    func object(
        _ path: ObjectPath, in parent: Descriptor, _ key: ByteString, _ request: Request
    ) throws(StoreError) -> LocalObject? {
        if path.isMarker { return try marker(path.name, in: parent, key, request) }
        let name = path.name.cString
        var status = stat()
        let found = try request.checkPresent("stat") {
            fstatat(parent.number, name, &status, AT_SYMLINK_NOFOLLOW)
        }
        guard found != nil, status.st_mode & S_IFMT == S_IFREG else { return nil }
        let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
        guard let number = try request.checkPresent("open", { pail_openat(parent.number, name, flags, 0) }) else {
            return nil
        }
        let descriptor = Descriptor(number)
        status = try LocalObject.status(descriptor, request)
        guard status.st_mode & S_IFMT == S_IFREG else { return nil }
        let stored = try keeper(request).read(descriptor, request)
        return LocalObject(key: key, descriptor: descriptor, status: status, stored: stored, isMarker: false)
    }

    /// A directory is a marker if it has metadata, or if it is empty: then nothing else shows that it is there.
    private func marker(
        _ name: ByteString, in parent: Descriptor, _ key: ByteString, _ request: Request
    ) throws(StoreError) -> LocalObject? {
        guard let descriptor = try Self.open(name, in: parent, request) else { return nil }
        return try marker(descriptor, key, request) { () throws(StoreError) in
            try DirectoryNames.read(descriptor, limit: 1, request)?.isEmpty ?? false
        }
    }

    func marker(
        _ descriptor: Descriptor, _ key: ByteString, _ request: Request,
        isEmpty: () throws(StoreError) -> Bool
    ) throws(StoreError) -> LocalObject? {
        let stored = try keeper(request).read(descriptor, request)
        if stored == nil, try !isEmpty() { return nil }
        let status = try LocalObject.status(descriptor, request)
        // Without a name any more: it was removed since it was opened.
        if status.st_nlink == 0 { return nil }
        return LocalObject(key: key, descriptor: descriptor, status: status, stored: stored, isMarker: true)
    }

    func read(
        _ key: ByteString, range: ByteRange?, ifMatch: ETag?, _ request: Request
    ) throws(StoreError) -> ObjectBody {
        for _ in 0..<Self.maximumAttempts {
            guard let object = try object(key, request) else { throw request.error(.notFound) }
            if let ifMatch, ifMatch != object.etag { throw request.error(.conditionFailed) }
            let size = object.sizeBytes
            let wanted = (range ?? 0..<size).clamped(to: 0..<size)
            let bytes = try object.descriptor.bytes(wanted, request)
            // Somebody may have edited the file in place while it was read.
            let after = try LocalObject.status(object.descriptor, request)
            let isSame =
                Timestamp(after.st_mtim) == Timestamp(object.status.st_mtim) && after.st_size == object.status.st_size
            if object.isMarker || (isSame && bytes.count == Int(wanted.length)) {
                return ObjectBody(info: object.info, bytes: bytes)
            }
        }
        throw request.error(.corrupt, "the file changes all the time")
    }
}

extension Descriptor {
    /// The bytes of a range, fewer at the end of the file.
    func bytes(_ range: ByteRange, _ request: Request) throws(StoreError) -> [UInt8] {
        var bytes = [UInt8](unsafeUninitializedCapacity: Int(range.length)) { _, count in count = Int(range.length) }
        var done = 0
        while done < bytes.count {
            let rest = min(bytes.count - done, TemporaryFile.chunkBytes)
            let position = range.lowerBound + Int64(done)
            let count = try request.check("read") {
                bytes.withUnsafeMutableBytes { pread(number, $0.baseAddress! + done, rest, Int(position)) }
            }
            if count == 0 { break }
            done += count
            try request.checkCancelled()
        }
        bytes.removeLast(bytes.count - done)
        return bytes
    }
}
