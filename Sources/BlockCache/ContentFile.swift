import CSystem
import Glibc
import Primitives

/// A file of a cache's content as it lies on the disk, looked at while no `BlockCache` is open. Changes nothing.
public struct ContentFile: Sendable {
    /// How much of it is here.
    public enum Extent: Sendable, Equatable {
        case whole
        /// These ranges have to come from the object that it was made from.
        case partial(missing: [ByteRange])
        /// Its page map can't be read: nobody knows which of these holes are missing and which are zeros.
        case unmapped(holes: [ByteRange])
    }

    public let id: UInt64
    public let path: String
    /// Something in it isn't in the bucket, or may not be.
    public let isDirty: Bool
    public let sizeBytes: Int64
    public let allocatedBytes: Int64
    public let modified: Timestamp
    private let isPartial: Bool

    /// nil if it isn't a content file, or is gone by now.
    init?(id: UInt64, path: String) {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        self.id = id
        self.path = path
        isDirty = status.st_mode & (CachedFile.dirtyMode | CachedFile.unseenMode) != 0
        isPartial = status.st_mode & CachedFile.partialMode != 0
        sizeBytes = Int64(status.st_size)
        allocatedBytes = Int64(status.st_blocks) * 512
        modified = Timestamp(status.st_mtim)
    }

    /// Calls `body` with each content file of the cache in `directory`.
    public static func forEach(in directory: String, _ body: (ContentFile) -> Void) {
        for shard in 0..<BlockCache.shardCount {
            let path = BlockCache.shardDirectory(directory + "/content", shard)
            for name in (try? BlockCache.names(in: path)) ?? [] {
                if let id = UInt64(name, radix: 16), let file = ContentFile(id: id, path: path + "/" + name) {
                    body(file)
                }
            }
        }
    }

    /// Calls `body` with each file that was set aside because its page map or its place in the tree was lost.
    public static func forEachLost(in directory: String, _ body: (ContentFile) -> Void) {
        let path = BlockCache.lostDirectory(directory)
        for name in (try? BlockCache.names(in: path)) ?? [] where !name.hasSuffix(".map") {
            let number = name.prefix { $0 != "-" }
            if let id = UInt64(number, radix: 16), let file = ContentFile(id: id, path: path + "/" + name) {
                body(file)
            }
        }
    }

    /// Removes what is clean: it can be fetched again. To be called where no `BlockCache` is open.
    public static func removeClean(in directory: String) {
        forEach(in: directory) { file in
            if file.isDirty { return }
            BlockCache.unlinkAll(file.path)
        }
    }

    public func extent() throws(CacheError) -> Extent {
        guard isPartial else { return .whole }
        guard let missing = try missingByMap() else { return .unmapped(holes: try holes()) }
        return missing.isEmpty ? .whole : .partial(missing: missing)
    }

    /// nil if the map is missing or damaged.
    private func missingByMap() throws(CacheError) -> [ByteRange]? {
        let descriptor = pail_open(path + ".map", O_RDONLY | O_CLOEXEC, 0)
        // A small file that was being fetched when the process died never had one: nothing of it is here.
        if descriptor < 0, errno == ENOENT, !isDirty { return [0..<sizeBytes] }
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        try CacheError.check("stat", path + ".map") { fstat(descriptor, &status) }
        guard let header = PageMapHeader.read(descriptor, fileBytes: Int64(status.st_size)) else { return nil }
        let end = min(header.originBytes, sizeBytes)
        var missing: [ByteRange] = []
        var codes = [UInt8](repeating: 0, count: 1 << 20)
        var page: Int64 = 0
        while page < header.pages {
            let wanted = Int(min(Int64(codes.count), header.pages - page))
            let count = try CacheError.check("read", path + ".map") {
                pread(descriptor, &codes, wanted, off_t(Int64(PageMapHeader.lengthBytes) + page))
            }
            guard count > 0 else { return nil }
            for code in codes[..<count] {
                guard PageCode.isSound(code) else { return nil }
                let bytes = page * PageMap.pageBytes..<min((page + 1) * PageMap.pageBytes, end)
                if PageCode.flags(code) & PageMap.present == 0, page * PageMap.pageBytes < end {
                    Self.append(bytes, to: &missing)
                }
                page += 1
            }
        }
        return missing
    }

    private static func append(_ range: ByteRange, to ranges: inout [ByteRange]) {
        if let last = ranges.last, last.upperBound == range.lowerBound {
            ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
        } else {
            ranges.append(range)
        }
    }

    private func holes() throws(CacheError) -> [ByteRange] {
        var holes: [ByteRange] = []
        var end: Int64 = 0
        try forEachData { (range, _) throws(CacheError) in
            if range.lowerBound > end { holes.append(end..<range.lowerBound) }
            end = range.upperBound
        }
        if end < sizeBytes { holes.append(end..<sizeBytes) }
        return holes
    }

    /// Writes the content to an open, empty file, with holes where it has holes.
    public func copy(to descriptor: Int32) throws(CacheError) {
        try forEachData { (range, source) throws(CacheError) in
            var position = range.lowerBound
            while position < range.upperBound {
                let length = Int(min(range.upperBound - position, 1 << 24))
                let count = try Self.copy(source, descriptor, position, length, path)
                guard count > 0 else { throw CacheError(Errno(EIO), "copy", path) }
                position += count
            }
        }
        try CacheError.check("extend the copy of", path) { ftruncate(descriptor, off_t(sizeBytes)) }
        try CacheError.check("sync the copy of", path) { fsync(descriptor) }
    }

    /// As much as one call copies: in the kernel, or by hand between file systems that can't.
    private static func copy(
        _ from: Int32, _ to: Int32, _ offset: Int64, _ length: Int, _ path: String
    ) throws(CacheError) -> Int64 {
        let copied = pail_copy_file_range(from, offset, to, offset, length)
        if copied > 0 { return copied }
        var bytes = [UInt8](repeating: 0, count: min(length, 1 << 20))
        let count = try CacheError.check("read", path) { pread(from, &bytes, bytes.count, off_t(offset)) }
        return Int64(try CacheError.check("copy", path) { pwrite(to, bytes, count, off_t(offset)) })
    }

    private func forEachData(
        _ body: (ByteRange, Int32) throws(CacheError) -> Void
    ) throws(CacheError) {
        let descriptor = try CacheError.check("open", path) { pail_open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0) }
        defer { close(descriptor) }
        var position: Int64 = 0
        while position < sizeBytes {
            let data = lseek(descriptor, off_t(position), seekDataWhence)
            if data < 0, errno == ENXIO { return }
            guard data >= 0 else { throw CacheError(.current, "seek", path) }
            let end = try CacheError.check("seek", path) { lseek(descriptor, data, seekHoleWhence) }
            try body(Int64(data)..<min(Int64(end), sizeBytes), descriptor)
            position = Int64(end)
        }
    }
}
