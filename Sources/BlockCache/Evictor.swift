import CSystem
import Glibc
import Primitives

/// What the eviction remembers between calls.
struct Evictor {
    /// Least recently used last, with the use they were chosen by.
    var candidates: [(id: UInt64, lastUse: Int64)] = []
    /// Bytes that may still be promised before the disk is asked again how much is free.
    var allowanceBytes: Int64 = 0
    var askedMilliseconds: Int64 = 0
}

extension BlockCache {
    /// Bytes promised on one answer of the disk, and how long that answer is believed.
    private static let allowanceBytes: Int64 = 64 << 20
    private static let allowanceMilliseconds: Int64 = 200
    /// Most files, and bytes beyond what is asked for, that one call evicts.
    private static let filesAtOnce = 64
    private static let extraBytes: Int64 = 32 << 20
    /// A file used so much later than when it was chosen is passed over and chosen again in its turn.
    private static let staleMilliseconds: Int64 = 5000

    /// Whether `bytes` more can be held; evicts the least recently used clean contents if need be, in bounded steps.
    /// Nothing is reserved. `forWriting`: they will be dirty.
    public func makeRoom(bytes: Int64, forWriting: Bool) -> Room {
        let (held, dirty) = totals.withLock { ($0.bytes, $0.dirty) }
        if forWriting && dirty > 0 && dirty + bytes > settings.maximumDirtyBytes { return .wait }
        let overLimit = held + min(bytes, settings.limitBytes) - settings.limitBytes
        let overDisk = spaceLacking(bytes)
        let lacking = max(overLimit, overDisk)
        if lacking <= 0 { return .available }
        let freed = evict(bytes: lacking + Self.extraBytes)
        if freed >= lacking { return .available }
        if freed > 0 { return .evicting }
        if overDisk > 0 && dirty <= 0 { return .diskFull }
        return .wait
    }

    /// Whether so many bytes may be changed without anybody waiting, and the disk has as much beyond its reserve as is
    /// said. Evicts nothing.
    public func hasRoom(dirtyBytes: Int64, diskBytes: Int64) -> Bool {
        totals.withLock { $0.dirty } + dirtyBytes <= settings.maximumDirtyBytes && spaceLacking(diskBytes) <= 0
    }

    /// How many bytes the disk has too few for `bytes` more and the reserve.
    private func spaceLacking(_ bytes: Int64) -> Int64 {
        let now = self.now()
        let allowed = evictor.withLock { evictor -> Bool in
            guard bytes <= evictor.allowanceBytes, now - evictor.askedMilliseconds < Self.allowanceMilliseconds
            else { return false }
            evictor.allowanceBytes -= bytes
            return true
        }
        if allowed { return 0 }
        var status = statvfs()
        guard statvfs(contentDirectory, &status) == 0 else { return 0 }
        let free = Int64(status.f_bavail) * Int64(status.f_frsize) - settings.reserveBytes
        evictor.withLock { evictor in
            evictor.allowanceBytes = min(max(0, free - bytes), Self.allowanceBytes)
            evictor.askedMilliseconds = now
        }
        return bytes - free
    }

    /// Gives back about `bytes`, least recently used first; returns how many.
    func evict(bytes: Int64) -> Int64 {
        var freed: Int64 = 0
        var refills = 0
        for _ in 0..<Self.filesAtOnce {
            if freed >= bytes { break }
            guard let candidate = evictor.withLock({ $0.candidates.popLast() }) else {
                if refills == 2 { break }
                refills += 1
                let found = candidates()
                evictor.withLock { $0.candidates = found }
                continue
            }
            freed += evict(candidate.id, chosenBy: candidate.lastUse, limit: bytes - freed)
        }
        return freed
    }

    /// The least recently used quarter of what holds clean bytes, oldest last.
    private func candidates() -> [(id: UInt64, lastUse: Int64)] {
        var all: [(id: UInt64, lastUse: Int64)] = []
        for shard in shards {
            shard.withLock { shard in
                for (id, record) in shard.records
                where shard.open[id] != nil || record.allocatedBytes > record.dirtyBytes {
                    all.append((id, record.lastUseMilliseconds))
                }
            }
        }
        all.sort { $0.lastUse > $1.lastUse }
        return Array(all.suffix(max(Self.filesAtOnce, all.count / 4)))
    }

    private func evict(_ id: UInt64, chosenBy lastUse: Int64, limit: Int64) -> Int64 {
        var file: CachedFile?
        let (removed, inUse) = shard(of: id).withLock { shard -> (Int64, Bool) in
            guard let record = shard.records[id] else { return (0, true) }
            file = shard.open[id]?.file
            if let file {
                let used = file.state.withLock { $0.lastUseMilliseconds }
                shard.records[id]?.lastUseMilliseconds = used
                return (0, used - lastUse > Self.staleMilliseconds)
            }
            if record.lastUseMilliseconds != lastUse { return (0, true) }
            return (unlinkClean(id, record, in: &shard), false)
        }
        if removed > 0 { return removed }
        if inUse { return 0 }
        guard let file = file ?? existing(id) else { return 0 }
        do {
            return try file.evict(limit: limit)
        } catch {
            log.warning("cache", "can't evict: \(error)")
            return 0
        }
    }

    /// Removes a file that nobody uses and that holds nothing new; returns the bytes that it held.
    private func unlinkClean(_ id: UInt64, _ record: Record, in shard: inout Shard) -> Int64 {
        let path = path(of: id)
        var status = stat()
        let kept = CachedFile.dirtyMode | CachedFile.unseenMode
        guard lstat(path, &status) == 0, status.st_mode & kept == 0, !Lease.isOpen(path) else { return 0 }
        Self.unlinkAll(path)
        shard.records[id] = nil
        count(bytes: -record.allocatedBytes, dirty: -record.dirtyBytes)
        return record.allocatedBytes
    }
}
