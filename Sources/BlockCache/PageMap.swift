import CSystem
import Glibc
import Primitives

/// The state of each page of a content file, in a mapped file beside it: what is stored here survives the death of
/// the process at once, and power loss after `sync`. A volatile map is in memory only, until `persist`.
///
/// Format: a `PageMapHeader` in 4096 bytes, then one byte a page (`PageCode`). Not thread-safe: under its file's state
/// lock.
final class PageMap {
    static let pageBytes: Int64 = 4096
    static let present: UInt8 = 1
    static let dirty: UInt8 = 2
    static let uploading: UInt8 = 4

    let path: String
    private(set) var isVolatile = false
    private let base: UnsafeMutableRawPointer
    private let lengthBytes: Int
    private let pages: UnsafeMutablePointer<UInt8>
    /// Pages that the map has room for.
    let capacity: Int
    /// Pages below `originBytes` that are not present.
    private(set) var missingPages = 0
    /// Pages below `originBytes` that are dirty or uploading.
    private(set) var dirtyPages = 0

    private init(path: String, base: UnsafeMutableRawPointer, lengthBytes: Int) {
        self.path = path
        self.base = base
        self.lengthBytes = lengthBytes
        pages = (base + PageMapHeader.lengthBytes).assumingMemoryBound(to: UInt8.self)
        capacity = lengthBytes - PageMapHeader.lengthBytes
    }

    deinit { munmap(base, lengthBytes) }

    /// The length up to which missing pages come from the origin. Beyond it everything is local.
    var originBytes: Int64 {
        get { OriginWord.originBytes(base.load(fromByteOffset: OriginWord.offset, as: UInt64.self)) }
        set {
            // One store, so that a process that dies leaves the old length or the new one.
            base.storeBytes(of: OriginWord(newValue).stored, toByteOffset: OriginWord.offset, as: UInt64.self)
            count()
        }
    }

    /// Pages that hold bytes of the origin.
    var originPages: Int { Int((originBytes + Self.pageBytes - 1) / Self.pageBytes) }

    /// A new map in which all pages have `flags`, under a temporary name moved to `path` when it is complete.
    static func create(_ path: String, originBytes: Int64, flags: UInt8) throws(CacheError) -> PageMap {
        let length = try lengthBytes(originBytes, path)
        let descriptor = try createFile(path, length)
        defer { close(descriptor) }
        return PageMap(
            path: path, base: try mapped(descriptor, length, path + ".new"), lengthBytes: length,
            originBytes: originBytes, flags: flags)
    }

    /// A new map of a file of which nothing is here, in memory only.
    static func volatile(_ path: String, originBytes: Int64) throws(CacheError) -> PageMap {
        let length = try lengthBytes(originBytes, path)
        let base = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let base, base != MAP_FAILED else { throw CacheError(.current, "map", path) }
        let map = PageMap(path: path, base: base, lengthBytes: length, originBytes: originBytes, flags: 0)
        map.isVolatile = true
        return map
    }

    private convenience init(
        path: String, base: UnsafeMutableRawPointer, lengthBytes: Int, originBytes: Int64, flags: UInt8
    ) {
        self.init(path: path, base: base, lengthBytes: lengthBytes)
        PageMapHeader(originBytes: originBytes, pages: Int64(capacity)).store(to: base)
        memset(pages, Int32(PageCode.stored(flags)), capacity)
        count()
    }

    private static func lengthBytes(_ originBytes: Int64, _ path: String) throws(CacheError) -> Int {
        guard originBytes <= OriginWord.maximumBytes else { throw CacheError(Errno(EFBIG), "map", path) }
        return PageMapHeader.lengthBytes + Int((originBytes + pageBytes - 1) / pageBytes)
    }

    /// The file of a new map, under its temporary name.
    private static func createFile(_ path: String, _ length: Int) throws(CacheError) -> Int32 {
        let temporary = path + ".new"
        let descriptor = try CacheError.check("create", temporary) {
            pail_open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        }
        // Allocated, not only extended: a store into a hole of a full disk would be a SIGBUS.
        let failure = posix_fallocate(descriptor, 0, off_t(length))
        guard failure == 0 else {
            close(descriptor)
            unlink(temporary)
            throw CacheError(Errno(failure), "allocate", temporary)
        }
        return descriptor
    }

    /// Puts a volatile map on the disk, before it has something to tell that must survive. Nobody may change it meanwhile.
    func persist() throws(CacheError) {
        guard isVolatile else { return }
        let descriptor = try Self.createFile(path, lengthBytes)
        defer { close(descriptor) }
        let temporary = path + ".new"
        let count = try CacheError.check("write", temporary) { pwrite(descriptor, base, lengthBytes, 0) }
        guard count == lengthBytes else { throw CacheError(Errno(ENOSPC), "write", temporary) }
        try install()
        // Where it was: readers find it there all the time.
        let moved = mmap(base, lengthBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, descriptor, 0)
        guard moved == base else { throw CacheError(.current, "map", path) }
        isVolatile = false
    }

    /// Moves a new map to its place, when its pages are filled in.
    func install() throws(CacheError) {
        try CacheError.check("rename", path) { rename(path + ".new", path) }
    }

    /// The map at `path`; nil if there is none or it isn't sound.
    static func load(_ path: String) throws(CacheError) -> PageMap? {
        let descriptor = pail_open(path, O_RDWR | O_CLOEXEC, 0)
        if descriptor < 0 {
            if errno == ENOENT { return nil }
            throw CacheError(.current, "open", path)
        }
        defer { close(descriptor) }
        var status = stat()
        try CacheError.check("stat", path) { fstat(descriptor, &status) }
        guard PageMapHeader.read(descriptor, fileBytes: Int64(status.st_size)) != nil else { return nil }
        let length = Int(status.st_size)
        let map = PageMap(path: path, base: try mapped(descriptor, length, path), lengthBytes: length)
        guard (0..<map.capacity).allSatisfy({ PageCode.isSound(map.pages[$0]) }) else { return nil }
        map.recover()
        return map
    }

    private static func mapped(
        _ descriptor: Int32, _ length: Int, _ path: String
    ) throws(CacheError) -> UnsafeMutableRawPointer {
        let base = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard let base, base != MAP_FAILED else { throw CacheError(.current, "map", path) }
        return base
    }

    /// After the death of a process: what was being uploaded is dirty, and a page that was to be overwritten whole but
    /// was never marked present is as it was, missing.
    private func recover() {
        for page in 0..<capacity {
            let found = flags(page)
            let recovered = PageCode.recovered(found)
            if recovered != found { pages[page] = PageCode.stored(recovered) }
        }
        count()
    }

    private func count() {
        missingPages = 0
        dirtyPages = 0
        for page in 0..<min(originPages, capacity) {
            if isMissing(page) { missingPages += 1 }
            if flags(page) & (Self.dirty | Self.uploading) != 0 { dirtyPages += 1 }
        }
    }

    func flags(_ page: Int) -> UInt8 { PageCode.flags(pages[page]) }

    func set(_ page: Int, _ flags: UInt8) {
        let old = self.flags(page)
        if old == flags { return }
        pages[page] = PageCode.stored(flags)
        let changed = Self.dirty | Self.uploading
        missingPages += (old & Self.present == 0 ? -1 : 0) + (flags & Self.present == 0 ? 1 : 0)
        dirtyPages += (old & changed != 0 ? -1 : 0) + (flags & changed != 0 ? 1 : 0)
    }

    func isMissing(_ page: Int) -> Bool { pages[page] & Self.present == 0 }

    /// The pages of the origin that `range` touches.
    func pages(in range: ByteRange) -> Range<Int> {
        let upper = min(range.upperBound, originBytes)
        guard range.lowerBound < upper else { return 0..<0 }
        return Int(range.lowerBound / Self.pageBytes)..<Int((upper + Self.pageBytes - 1) / Self.pageBytes)
    }

    /// The bytes of these pages, clipped to the origin's end.
    func bytes(of pages: Range<Int>) -> ByteRange {
        let lower = Int64(pages.lowerBound) * Self.pageBytes
        return lower..<max(lower, min(Int64(pages.upperBound) * Self.pageBytes, originBytes))
    }

    /// From the first to the last missing page that `range` touches.
    func missingHull(in range: ByteRange) -> ByteRange? {
        if missingPages == 0 { return nil }
        let pages = pages(in: range)
        guard let first = pages.first(where: isMissing), let last = pages.last(where: isMissing) else { return nil }
        return bytes(of: first..<(last + 1))
    }

    /// The runs of missing pages that `range` touches.
    func missing(in range: ByteRange) -> [ByteRange] {
        if missingPages == 0 { return [] }
        return runs(in: range) { $0 & Self.present == 0 }.map(bytes(of:))
    }

    /// The runs of pages, among those that `range` touches, whose flags satisfy `condition`.
    func runs(in range: ByteRange, where condition: (UInt8) -> Bool) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        var start: Int?
        let touched = pages(in: range)
        for page in touched {
            if condition(flags(page)) {
                if start == nil { start = page }
            } else if let first = start {
                runs.append(first..<page)
                start = nil
            }
        }
        if let first = start { runs.append(first..<touched.upperBound) }
        return runs
    }

    /// A copy of the flags of the origin's pages.
    var snapshot: [UInt8] {
        UnsafeBufferPointer(start: pages, count: min(originPages, capacity)).map(PageCode.flags)
    }

    /// Returns when the map is on the disk.
    func sync() throws(CacheError) {
        try CacheError.check("sync", path) { msync(base, lengthBytes, MS_SYNC) }
    }
}
