import CSystem
import Glibc
import Primitives
import Telemetry

/// The contents of files on the local disk, one sparse file a node id. Knows nothing of names or trees.
/// Thread-safe; no call waits for the network.
public final class BlockCache: Sendable {
    public struct Settings: Sendable {
        /// Made if it doesn't exist, for the user alone.
        public var directory: String
        /// Most bytes that contents may take on the disk.
        public var limitBytes: Int64 = 10 << 30
        /// Space to leave free on the disk.
        public var reserveBytes: Int64 = 1 << 30
        /// Most bytes that wait to be uploaded; writers wait then.
        public var maximumDirtyBytes: Int64 = 8 << 30

        /// Changes of a file so short after each other may have one time (see `ContentDisk`).
        public var tickMilliseconds = Self.coarseTickMilliseconds
        /// What it takes for stores to mapped contents to show in their times.
        public var writeBack = WriteBack.complete

        /// Twice the longest tick of Linux's clock.
        static let coarseTickMilliseconds: Int64 = 20

        public init(directory: String) { self.directory = directory }
    }

    /// What is known about a content file that may not be open.
    struct Record {
        var allocatedBytes: Int64
        var dirtyBytes: Int64
        var lastUseMilliseconds: Int64
        /// Nothing of it has to be fetched.
        var isWhole: Bool
    }

    /// Doesn't keep its file. Who loads it keeps the reference until after the shard's lock is left: the last
    /// reference's end takes that lock.
    final class Holder {
        weak var file: CachedFile?
    }

    struct Shard {
        var records: [UInt64: Record] = [:]
        var open: [UInt64: Holder] = [:]
        var nameless: Set<UInt64> = []
    }

    struct Totals {
        var bytes: Int64 = 0
        var dirty: Int64 = 0
    }

    static let shardCount = 256
    let settings: Settings
    let time: any TimeSource
    let log: Log
    let contentDirectory: String
    let shards: [Lock<Shard>]
    let totals = Lock(Totals())
    let evictor = Lock(Evictor())
    let learner = DigestLearner()
    /// Files that others may have written to, or may still, as the start has found them.
    public var unseenAtStart: [UInt64] { foundUnseen.withLock { $0 } }
    let foundUnseen = Lock([UInt64]())

    /// Makes the directories. Call `startScan` once before anything else.
    public init(
        settings: Settings, time: any TimeSource = SystemTime(), log: Log = .silent
    ) throws(CacheError) {
        self.settings = settings
        self.time = time
        self.log = log
        contentDirectory = settings.directory + "/content"
        shards = (0..<Self.shardCount).map { _ in Lock(Shard()) }
        try makeDirectories()
    }

    private func makeDirectories() throws(CacheError) {
        if access(contentDirectory + "/ff", F_OK) == 0 { return }
        for path in [settings.directory, contentDirectory] { try makeDirectory(path) }
        try spread(contentDirectory)
        for index in 0..<Self.shardCount { try makeDirectory(Self.shardDirectory(contentDirectory, index)) }
        try syncDirectory(contentDirectory)
        try syncDirectory(settings.directory)
    }

    private func makeDirectory(_ path: String) throws(CacheError) {
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw CacheError(.current, "make directory", path) }
    }

    /// Has the directories in `path` lie apart, where the file system does such things. Without a journal, ext4 goes past
    /// each inode that was deleted in the last minutes near the directory before it makes a new file: so creating files
    /// after many were removed (also an old cache) took three times as long.
    private func spread(_ path: String) throws(CacheError) {
        let descriptor = try CacheError.check("open", path) { pail_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0) }
        defer { close(descriptor) }
        if pail_spread_directories(descriptor) != 0 { log.debug("cache", "\(path): \(Errno.current)") }
    }

    // MARK: Files

    /// A new, empty, whole file. It counts as dirty from the start.
    public func create(_ id: UInt64) throws(CacheError) -> CachedFile {
        let path = path(of: id)
        return try shard(of: id).withLock { shard throws(CacheError) in
            let descriptor = try CacheError.check("create", path) {
                let mode = UInt32(CachedFile.plainMode | CachedFile.dirtyMode)
                return pail_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode)
            }
            let state = FileState(map: nil, isDirty: true, sizeBytes: 0, allocatedBytes: 0)
            return register(id, descriptor, path, state, in: &shard)
        }
    }

    /// The file of `id`: the one in use, the one on the disk, or a new one of `originBytes` with nothing present.
    /// A clean one of another size is of no use and replaced, unless others may have written to it.
    ///
    /// `originBytes` is asked for only when the file is not in use, and then after it was looked at: an upload commits
    /// its version before it marks the file clean, so the answer is never older than what the file says. nil is EIO.
    public func open(_ id: UInt64, originBytes: () -> Int64?) throws(CacheError) -> CachedFile {
        try openFile(id) { (path) throws(CacheError) in
            guard let size = originBytes() else { throw CacheError(Errno(EIO), "find the version of", path) }
            return try Self.makeSparse(path, size)
        } accept: { state in
            state.isDirty || state.unseen != nil || originBytes().map { state.sizeBytes == $0 } ?? true
        }
    }

    public func open(_ id: UInt64, originBytes: Int64) throws(CacheError) -> CachedFile {
        try open(id) { originBytes }
    }

    /// The file of `id` if there is one.
    public func existing(_ id: UInt64) -> CachedFile? {
        try? openFile(id) { (path) throws(CacheError) in
            throw CacheError(Errno(ENOENT), "open", path)
        } accept: { _ in
            true
        }
    }

    private func openFile(
        _ id: UInt64, make: (String) throws(CacheError) -> (Int32, FileState), accept: (FileState) -> Bool
    ) throws(CacheError) -> CachedFile {
        let path = path(of: id)
        return try shard(of: id).withLock { shard throws(CacheError) in
            if let file = shard.open[id]?.file { return file }
            if let (descriptor, state) = try Self.load(path) {
                if accept(state) { return register(id, descriptor, path, state, in: &shard) }
                close(descriptor)
                Self.unlinkAll(path)
            }
            let (descriptor, state) = try make(path)
            return register(id, descriptor, path, state, in: &shard)
        }
    }

    private func register(
        _ id: UInt64, _ descriptor: Int32, _ path: String, _ initial: FileState, in shard: inout Shard
    ) -> CachedFile {
        var state = initial
        state.isNameless = shard.nameless.contains(id)
        state.lastUseMilliseconds = now()
        let old = shard.records[id]
        state.countedBytes = state.allocatedBytes
        state.countedDirtyBytes = state.dirtyBytes
        let bytes = state.allocatedBytes - (old?.allocatedBytes ?? 0)
        let dirty = state.dirtyBytes - (old?.dirtyBytes ?? 0)
        if (bytes, dirty) != (0, 0) { count(bytes: bytes, dirty: dirty) }
        shard.records[id] = Record(
            allocatedBytes: state.allocatedBytes, dirtyBytes: state.dirtyBytes,
            lastUseMilliseconds: state.lastUseMilliseconds, isWhole: state.isWhole)
        let file = CachedFile(id: id, cache: self, descriptor: descriptor, path: path, state: state)
        let holder = Holder()
        holder.file = file
        shard.open[id] = holder
        return file
    }

    /// Bytes that the content takes on the disk, if all of it is here.
    public func allocatedBytes(ofWhole id: UInt64) -> Int64? {
        let (file, record) = shard(of: id).withLock { ($0.open[id]?.file, $0.records[id]) }
        if let file { return file.isWhole ? file.allocatedBytes : nil }
        return record.flatMap { $0.isWhole ? $0.allocatedBytes : nil }
    }

    /// Forgets the content. Who still holds the file can go on using it.
    public func remove(_ id: UInt64) {
        let path = path(of: id)
        var file: CachedFile?
        let gone = shard(of: id).withLock { shard -> Record? in
            file = shard.open.removeValue(forKey: id)?.file
            shard.nameless.remove(id)
            let mapped = shard.records[id] != nil
            unlink(path)
            if mapped { Self.unlinkAll(path) }
            return shard.records.removeValue(forKey: id)
        }
        if let file {
            let counted = file.state.withLock { state -> (Int64, Int64) in
                state.isRemoved = true
                return (state.countedBytes, state.countedDirtyBytes)
            }
            // What was made between the two.
            Self.unlinkAll(path)
            count(bytes: -counted.0, dirty: -counted.1)
        } else if let gone {
            count(bytes: -gone.allocatedBytes, dirty: -gone.dirtyBytes)
        }
    }

    /// From now on the digests of large files are learnt in the background after their uploads: others may write to them.
    public func learnDigests() { learner.turnOn() }

    /// Whether the node has no name: then what is changed in it waits for no upload, and writers don't wait for it.
    public func setNameless(_ file: CachedFile, _ isNameless: Bool) {
        shard(of: file.id).withLock { shard in
            if isNameless { shard.nameless.insert(file.id) } else { shard.nameless.remove(file.id) }
        }
        file.state.withLock { $0.isNameless = isNameless }
        file.countChange()
    }

    /// The last reference to a file went.
    func closed(_ file: CachedFile, _ state: FileState) {
        if state.isRemoved { return }
        let other = shard(of: file.id).withLock { shard -> CachedFile? in
            guard let holder = shard.open[file.id] else { return nil }
            // A new object for the same file may be there already.
            if let other = holder.file { return other }
            shard.open[file.id] = nil
            if !state.isWhole, state.map?.isVolatile == true {
                // Nobody else knows what of it is here.
                if file.isInPlace { unlink(file.path) }
                shard.records[file.id] = nil
                count(bytes: -state.countedBytes, dirty: 0)
                return nil
            }
            shard.records[file.id] = Record(
                allocatedBytes: state.countedBytes, dirtyBytes: state.countedDirtyBytes,
                lastUseMilliseconds: state.lastUseMilliseconds, isWhole: state.isWhole)
            return nil
        }
        withExtendedLifetime(other) {}
    }

    public func usage() -> CacheUsage {
        let files = shards.reduce(0) { sum, shard in sum + shard.withLock { $0.records.count } }
        let totals = totals.withLock { $0 }
        return CacheUsage(
            cachedBytes: max(0, totals.bytes), dirtyBytes: max(0, totals.dirty), limitBytes: settings.limitBytes,
            files: files)
    }

    /// Bytes that contents take on the disk.
    public var heldBytes: Int64 { totals.withLock { $0.bytes } }

    func count(bytes: Int64, dirty: Int64) {
        totals.withLock { totals in
            totals.bytes += bytes
            totals.dirty += dirty
        }
    }

    func shard(of id: UInt64) -> Lock<Shard> { shards[Int(id & 0xff)] }

    /// Milliseconds since 1970.
    func now() -> Int64 { time.coarse().nanoseconds / 1_000_000 }
}
