import CSystem
import Glibc
import Primitives

/// The content of one node on the local disk. It stays open while anybody holds this object; calls may be made from
/// any thread and never wait for the network.
///
/// The content file's mode keeps what must survive: owner-execute says that something changed since the last upload,
/// group-execute that there is a page map (without one every page is here), other-execute that others may write to it.
/// Lock order: `writers`, then `state`. Changes of content hold `writers` throughout, reads hold neither.
public final class CachedFile: Sendable {
    static let dirtyMode: mode_t = 0o100
    static let partialMode: mode_t = 0o010
    static let unseenMode: mode_t = 0o001
    static let plainMode: mode_t = 0o600
    /// From this size on, a clean file gets a page map at its first change, so that only what changes is uploaded.
    static let mapThresholdBytes: Int64 = 1 << 20
    private static let readAttempts = 16
    /// UTIME_OMIT (utimensat(2)).
    static let omitTime = (1 << 30) - 2

    public let id: UInt64
    let cache: BlockCache
    let descriptor: Int32
    let path: String
    let writers = Lock(())
    let state: Lock<FileState>

    init(id: UInt64, cache: BlockCache, descriptor: Int32, path: String, state: FileState) {
        self.id = id
        self.cache = cache
        self.descriptor = descriptor
        self.path = path
        self.state = Lock(state)
    }

    deinit {
        cache.closed(self, state.withLock { $0 })
        close(descriptor)
    }

    var mapPath: String { path + ".map" }

    // MARK: What it is

    func status() throws(CacheError) -> stat {
        var status = stat()
        try CacheError.check("stat", path) { fstat(descriptor, &status) }
        return status
    }

    /// Whether the file under its path is still the one that is open here.
    var isInPlace: Bool {
        var found = stat()
        return lstat(path, &found) == 0 && (try? status()).map { $0.st_ino == found.st_ino } ?? false
    }

    /// The file's length, asked of the disk: right also when somebody else writes to the backing file.
    public var sizeBytes: Int64 { (try? status().st_size).map(Int64.init) ?? state.withLock { $0.sizeBytes } }

    /// Bytes that it takes on the disk.
    public var allocatedBytes: Int64 { (try? status().st_blocks).map { Int64($0) * 512 } ?? 0 }

    /// The content file's modification time.
    public var modified: Timestamp { (try? status().st_mtim).map { Timestamp($0) } ?? .zero }

    public func setModified(_ time: Timestamp) throws(CacheError) {
        try CacheError.check("set times", path) {
            let times = [timespec(tv_sec: 0, tv_nsec: Self.omitTime), time.timespec]
            return futimens(descriptor, times)
        }
    }

    /// Something in it isn't in the bucket yet.
    public var isDirty: Bool { state.withLock { $0.isDirty } }

    /// Set by `BlockCache.setNameless`.
    public var isNameless: Bool { state.withLock { $0.isNameless } }

    /// Nothing of it has to be fetched.
    public var isWhole: Bool { state.withLock { $0.isWhole } }

    /// The length up to which missing pages come from the origin.
    public var originBytes: Int64 { state.withLock { $0.originBytes } }

    /// Grows before each change of the content through this object.
    public var generation: UInt64 { state.withLock { $0.generation } }

    /// How many uploads were begun in this process: tells a writer whether its change is the first since.
    public var uploadsBegun: UInt64 { state.withLock { $0.uploads } }

    /// Keeps all that is present from being evicted, until `unpin`. Counted.
    public func pin() { state.withLock { $0.pins += 1 } }
    public func unpin() { state.withLock { $0.pins -= 1 } }

    /// The parts of `range` that have to be fetched.
    public func missing(in range: ByteRange) -> [ByteRange] { state.withLock { $0.map?.missing(in: range) ?? [] } }

    // MARK: Reading

    /// Reads from `offset` as much as is asked for or as there is.
    public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(CacheError) -> ReadOutcome {
        let range = ByteRange(offset: offset, length: Int64(buffer.count))
        for _ in 0..<Self.readAttempts {
            let (missing, evictions) = state.withLock { state -> (ByteRange?, UInt64) in
                state.lastUseMilliseconds = cache.now()
                return (state.map?.missingHull(in: range), state.evictions)
            }
            if let missing { return .missing(missing) }
            let count = try readBytes(into: buffer, at: offset)
            // What was evicted meanwhile may have been read as zeros.
            if state.withLock({ $0.evictions == evictions }) { return .bytes(count) }
        }
        return try writers.withLock { _ throws(CacheError) -> ReadOutcome in
            if let missing = state.withLock({ $0.map?.missingHull(in: range) }) { return .missing(missing) }
            return .bytes(try readBytes(into: buffer, at: offset))
        }
    }

    private func readBytes(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(CacheError) -> Int {
        var done = 0
        while done < buffer.count {
            let count = try CacheError.check("read", path) {
                pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset) + off_t(done))
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// The first offset from `from` on that holds data (missing pages do); nil if there is none.
    public func seekData(from: Int64) throws(CacheError) -> Int64? {
        let data = try seek(from, seekDataWhence)
        let missing = state.withLock { $0.map?.missingHull(in: from..<max(from, $0.sizeBytes)) }
        guard let missing else { return data }
        let first = max(from, missing.lowerBound)
        return min(data ?? first, first)
    }

    /// The first offset from `from` on that lies in a hole, the end of the file at the latest; nil beyond it.
    public func seekHole(from: Int64) throws(CacheError) -> Int64? {
        var position = from
        while let hole = try seek(position, seekHoleWhence) {
            let page = hole..<(hole + 1)
            let missing = state.withLock { state -> ByteRange? in
                guard let map = state.map, map.missingHull(in: page) != nil else { return nil }
                return map.runs(in: hole..<map.originBytes) { $0 & PageMap.present == 0 }.first.map(map.bytes(of:))
            }
            guard let missing else { return hole }
            position = missing.upperBound
            if position >= sizeBytes { return sizeBytes }
        }
        return nil
    }

    private func seek(_ from: Int64, _ whence: Int32) throws(CacheError) -> Int64? {
        let result = lseek(descriptor, off_t(from), whence)
        if result >= 0 { return Int64(result) }
        if errno == ENXIO { return nil }
        throw CacheError(.current, "seek", path)
    }

    // MARK: Durability

    /// Returns when what was written before survives power loss.
    public func sync(dataOnly: Bool) throws(CacheError) {
        let (map, mode, wasMode, removed) = state.withLock { ($0.map, $0.modeVersion, $0.syncedMode, $0.isRemoved) }
        if mode != wasMode, !removed, let map {
            // A mode that names a map must not be on the disk before it.
            try map.sync()
            try cache.syncDirectory(of: id)
        }
        try CacheError.check("sync", path) {
            dataOnly && mode == wasMode ? fdatasync(descriptor) : fsync(descriptor)
        }
        try map?.sync()
        guard mode != wasMode, !removed else { return }
        try cache.syncDirectory(of: id)
        state.withLock { $0.syncedMode = max($0.syncedMode, mode) }
    }

    // MARK: What changes share. All with `writers` held.

    func setMode(dirty: Bool, partial: Bool) throws(CacheError) {
        let unseen = state.withLock { $0.unseen == nil ? 0 : Self.unseenMode }
        let mode = Self.plainMode | (dirty ? Self.dirtyMode : 0) | (partial ? Self.partialMode : 0) | unseen
        try CacheError.check("change mode", path) { fchmod(descriptor, mode) }
        state.withLock { state in
            state.modeVersion += 1
            if dirty || unseen != 0 { state.mayBeDirtyOnDisk = true }
        }
    }

    /// Marks the file dirty, on the disk first.
    func becomeDirty() throws(CacheError) {
        let (isDirty, map, size, isUnseen) = state.withLock { ($0.isDirty, $0.map, $0.sizeBytes, $0.unseen != nil) }
        if isDirty { return }
        try map?.persist()
        var made: PageMap?
        if map == nil && size >= Self.mapThresholdBytes && !isUnseen {
            made = try makeMap(originBytes: size, flags: PageMap.present)
        }
        try setMode(dirty: true, partial: map != nil || made != nil)
        state.withLock { state in
            state.isDirty = true
            if let made { state.map = made }
        }
        countChange()
    }

    /// A map in its place; the mode doesn't say so yet.
    func makeMap(
        originBytes: Int64, flags: UInt8, fill: (PageMap) -> Void = { _ in }
    ) throws(CacheError) -> PageMap {
        let map = try PageMap.create(mapPath, originBytes: originBytes, flags: flags)
        fill(map)
        try map.install()
        if state.withLock({ $0.isRemoved }) { unlink(mapPath) }
        return map
    }

    /// Forgets the map of a file that has become whole and clean.
    func dropMap() throws(CacheError) {
        try setMode(dirty: false, partial: false)
        if state.withLock({ !$0.isRemoved && $0.map?.isVolatile == false }) { unlink(mapPath) }
        state.withLock { $0.map = nil }
    }

    /// Takes size and space from the disk.
    func recount() throws(CacheError) {
        let status = try status()
        state.withLock { state in
            state.sizeBytes = Int64(status.st_size)
            state.allocatedBytes = Int64(status.st_blocks) * 512
        }
        countChange()
    }

    func countChange() {
        let change = state.withLock { state -> (bytes: Int64, dirty: Int64) in
            state.isRemoved ? (0, 0) : state.countedChange()
        }
        if change != (0, 0) { cache.count(bytes: change.bytes, dirty: change.dirty) }
    }
}
