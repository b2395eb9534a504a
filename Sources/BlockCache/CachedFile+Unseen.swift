import CSystem
import Glibc
import Primitives

/// Files that others read and write past this object, through descriptors of their own: the kernel does for programs
/// that have the file open.
///
/// `unseenMode` says on the disk that the content may be another one than was recorded. Modification time and size tell
/// whether it is: on a file system that is fit for it (see `ContentDisk`) each change gives the file another time, a
/// store to mapped memory at least if the page was written back before. Where the clock's ticks are coarse, a time that
/// has hardly passed tells nothing: then the next look takes the file for changed.
/// Such a file is whole, has no page map, and isn't evicted.
extension CachedFile {
    /// How long a file that others write to must have been left alone before it is uploaded.
    private static let restMilliseconds: Int64 = 50

    /// A descriptor for reading and writing that others may be given; valid while this object is held.
    public var backingDescriptor: Int32 { descriptor }

    /// Others may write to the file from now on. It gets the time that is recorded of its last change. Fails for a file
    /// that isn't whole. What they change in a large one that is in the bucket is found only if `knowsDigests`.
    public func beginUnseen(modified: Timestamp) throws(CacheError) {
        try writers.withLock { _ throws(CacheError) in
            let (isUnseen, isWhole, isDirty) = state.withLock { ($0.unseen != nil, $0.isWhole, $0.isDirty) }
            if isUnseen { return }
            guard isWhole else { throw CacheError(Errno(EINVAL), "share", path) }
            var stamp = try stamp()
            if modified != stamp.modified {
                try setModified(modified)
                stamp = try self.stamp()
            }
            try markUnseen(stamp, isDirty: isDirty)
        }
    }

    /// Goes on with a file that was written unseen when the process before ended. What differs from `recorded` was
    /// written since. Does nothing with another file.
    public func resumeUnseen(recorded: ContentStamp) throws(CacheError) {
        try writers.withLock { _ throws(CacheError) in
            guard state.withLock({ $0.unseen != nil && $0.isWhole }) else { return }
            // It may hold what nobody looked at.
            try becomeDirty()
            try markUnseen(recorded, isDirty: true)
        }
    }

    private func markUnseen(_ stamp: ContentStamp, isDirty: Bool) throws(CacheError) {
        state.withLock { state in
            state.unseen = certain(stamp)
            state.upload?.isUnseen = true
            // Nobody follows the changes of parts any more.
            state.partChanges = nil
        }
        try setMode(dirty: isDirty, partial: false)
        let hadMap = state.withLock { state -> Bool in
            defer { state.map = nil }
            return state.map != nil
        }
        if hadMap { unlink(mapPath) }
        try recount()
    }

    /// Others may write to it.
    public var isUnseen: Bool { state.withLock { $0.unseen != nil } }

    /// Looks whether the content was changed since the last look; gives when. It is dirty then.
    public func noticeUnseen() throws(CacheError) -> Timestamp? {
        guard let before = state.withLock({ $0.unseen }), try stamp() != before else { return nil }
        return try writers.withLock { _ throws(CacheError) in try take() }
    }

    private func take() throws(CacheError) -> Timestamp {
        try becomeDirty()
        let now = try stamp()
        state.withLock { state in
            guard state.unseen != nil else { return }
            state.unseen = certain(now)
            state.generation += 1
            if let lowest = state.upload?.lowestBytes { state.upload?.lowestBytes = min(lowest, now.sizeBytes) }
        }
        try recount()
        return now.modified
    }

    /// Gives the content another time than that of its last change. It counts as changed, since a change since the last
    /// look doesn't show any more; who calls it records that.
    public func restamp(_ modified: Timestamp) throws(CacheError) {
        try writers.withLock { _ throws(CacheError) in
            guard state.withLock({ $0.unseen != nil }) else { return }
            try becomeDirty()
            try setModified(modified)
            try recount()
            let now = try stamp()
            state.withLock { state in
                state.unseen = certain(now)
                state.generation += 1
            }
        }
    }

    /// To be called when nobody else has the file open any more: what was changed since the last look, as
    /// `noticeUnseen`.
    public func endUnseen() throws(CacheError) -> Timestamp? {
        try writers.withLock { _ throws(CacheError) in
            guard let before = state.withLock({ $0.unseen }) else { return nil }
            let changed = try stamp() == before ? nil : try take()
            state.withLock { $0.unseen = nil }
            try setMode(dirty: state.withLock { $0.isDirty }, partial: false)
            return changed
        }
    }

    /// Whether anybody but this object has the file open or mapped.
    public var isOpenElsewhere: Bool { Lease.isRefused(descriptor) }

    /// Keeps the file from being evicted, until `unpin`, before others get to read it. False, and not kept, if it isn't
    /// whole.
    public func pinWhole() -> Bool {
        writers.withLock { _ in
            state.withLock { state in
                guard state.isWhole else { return false }
                state.pins += 1
                state.lastUseMilliseconds = cache.now()
                return true
            }
        }
    }

    /// Makes the next read of the file by others show in the file's access time, on a disk that keeps those at all.
    public func primeAccess() throws(CacheError) {
        let time = Timestamp(nanoseconds: (cache.now() - 1000) * 1_000_000)
        try setAccessed(time)
        state.withLock { $0.primedAccess = time }
    }

    /// When others have read it since `primeAccess`; once.
    public func takeAccess() -> Timestamp? {
        guard let primed = state.withLock({ $0.primedAccess }), let accessed = present?.accessed, accessed != primed
        else { return nil }
        state.withLock { $0.primedAccess = nil }
        return accessed
    }

    /// Reads the content file without counting as one who has read it.
    func withoutAccess<Result>(_ body: () throws(CacheError) -> Result) throws(CacheError) -> Result {
        guard let primed = state.withLock({ $0.primedAccess }), present?.accessed == primed else { return try body() }
        let result = try body()
        try setAccessed(primed)
        return result
    }

    func setAccessed(_ time: Timestamp) throws(CacheError) {
        try CacheError.check("set times", path) {
            let times = [time.timespec, timespec(tv_sec: 0, tv_nsec: Self.omitTime)]
            return futimens(descriptor, times)
        }
    }

    /// What the disk says of the content file now.
    public var present: (stamp: ContentStamp, accessed: Timestamp, allocatedBytes: Int64)? {
        guard let status = try? status() else { return nil }
        return (ContentStamp(status), Timestamp(status.st_atim), Int64(status.st_blocks) * 512)
    }

    /// `stamp`, or one that differs from any if the next change might not show in it.
    private func certain(_ stamp: ContentStamp) -> ContentStamp {
        let tick = cache.settings.tickMilliseconds
        let age = Timestamp(nanoseconds: cache.now() * 1_000_000).milliseconds(since: stamp.modified)
        return tick > 0 && abs(age) < tick ? .unknown : stamp
    }

    func stamp() throws(CacheError) -> ContentStamp { ContentStamp(try status()) }

    /// Neither this object nor anybody else has changed the content since the generation was `generation`.
    func isUndisturbed(since generation: UInt64) -> Bool {
        let (present, unseen) = state.withLock { ($0.generation, $0.unseen) }
        guard present == generation else { return false }
        guard let unseen else { return true }
        return (try? stamp()) == unseen
    }

    /// From here on every change of a file that others may have open or mapped shows in its time. Fails with EBUSY if
    /// somebody changed it since the last look. Not with `writers` held: a slow disk would hold up everybody.
    func settleUnseen() throws(CacheError) {
        guard let unseen = state.withLock({ $0.unseen }) else { return }
        let rest = Timestamp(nanoseconds: cache.now() * 1_000_000).milliseconds(since: unseen.modified)
        // Nor would it make sense to send what is being written.
        if abs(rest) < Self.restMilliseconds { throw busy }
        awaitWrite()
        // What is written back is write-protected in the maps, so that the next store is noticed.
        guard try cache.settings.writeBack.protect(descriptor, path) else { throw busy }
        try requireSettled()
    }

    /// A write changes the file's time when it begins, and keeps its inode locked until it ends. So one that has begun
    /// is over when this returns: to remove an attribute, also one that isn't there, takes the same lock.
    private func awaitWrite() { _ = pail_fremovexattr(descriptor, "user.pail.none") }

    var busy: CacheError { CacheError(Errno(EBUSY), "upload what is being written,", path) }

    func requireSettled() throws(CacheError) {
        guard let unseen = state.withLock({ $0.unseen }) else { return }
        guard try stamp() == unseen else { throw busy }
    }
}

/// What tells one state of a content from the next.
public struct ContentStamp: Equatable, Sendable {
    public var sizeBytes: Int64
    public var modified: Timestamp

    public init(sizeBytes: Int64, modified: Timestamp) {
        self.sizeBytes = sizeBytes
        self.modified = modified
    }

    /// Of which nothing is known.
    static let unknown = ContentStamp(sizeBytes: -1, modified: .zero)

    init(_ status: stat) {
        self.init(sizeBytes: Int64(status.st_size), modified: Timestamp(status.st_mtim))
    }
}
