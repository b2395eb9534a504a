import Glibc
import Primitives

/// What is known in memory about a content file. Guarded by the file's state lock; what it says about the disk is
/// changed by holders of the file's writers lock only.
struct FileState {
    /// nil: every page is here.
    var map: PageMap?
    var isDirty: Bool
    var sizeBytes: Int64
    var allocatedBytes: Int64
    /// Grows before each change of the content by a writer.
    var generation: UInt64 = 0
    /// Grows with each eviction, before the pages go.
    var evictions: UInt64 = 0
    var pins = 0
    /// What it was at the last look, while others may write to it.
    var unseen: ContentStamp?
    /// The content file's access time unless others have read it; nil: that isn't looked for.
    var primedAccess: Timestamp?
    /// Of the content as the bucket has it; nil: not known, or not read from the disk.
    var digests: BlockDigests?
    var isRemoved = false
    /// Its node has no name: what is changed in it waits for no upload.
    var isNameless = false
    var upload: ActiveUpload?
    /// While parts of it are sent before it is complete.
    var partChanges: PartChanges?
    /// Handles through which it may be written.
    var writingHandles = 0
    var uploads: UInt64 = 0
    var lastUseMilliseconds: Int64 = 0
    /// What the cache's totals hold for this file.
    var countedBytes: Int64 = 0
    var countedDirtyBytes: Int64 = 0
    /// Grows when the content file's mode or the map's place changes; `syncedMode` is the last one on the disk.
    var modeVersion: UInt64 = 1
    var syncedMode: UInt64 = 0
    /// The mode on the disk may say that all of the content is changed and here.
    var mayBeDirtyOnDisk = true

    /// The upload under way and what happened since it began.
    struct ActiveUpload {
        var serial: UInt64
        /// The shortest that the file has been since.
        var lowestBytes: Int64
        /// What has been written since where no page map tells it.
        var written = RangeList()
        /// Others may have written since, and nobody knows what.
        var isUnseen = false
    }

    /// Not to be evicted.
    var isHeld: Bool { pins > 0 || unseen != nil }

    var isWhole: Bool { map.map { $0.missingPages == 0 } ?? true }

    var dirtyBytes: Int64 {
        guard isDirty, !isNameless else { return 0 }
        guard let map else { return allocatedBytes }
        let beyond = max(0, min(sizeBytes - map.originBytes, allocatedBytes))
        return Int64(map.dirtyPages) * PageMap.pageBytes + beyond
    }

    var originBytes: Int64 { map?.originBytes ?? (isDirty ? 0 : sizeBytes) }

    /// Whether a part of `range` isn't in the bucket as it is here.
    func isChanged(_ range: ByteRange) -> Bool {
        guard isDirty else { return false }
        guard let map, range.upperBound <= map.originBytes else { return true }
        return !map.runs(in: range) { $0 & (PageMap.dirty | PageMap.uploading) != 0 }.isEmpty
    }

    /// An edge page of `range` that would be overwritten in part and isn't here.
    func missingEdge(of range: ByteRange) -> ByteRange? {
        guard let map, map.missingPages > 0, !range.isEmpty else { return nil }
        let pages = map.pages(in: range)
        guard let first = pages.first, let last = pages.last else { return nil }
        for page in first == last ? [first] : [first, last] where map.isMissing(page) {
            let bytes = map.bytes(of: page..<(page + 1))
            if range.lowerBound > bytes.lowerBound || range.upperBound < bytes.upperBound { return bytes }
        }
        return nil
    }

    /// Before the bytes of `range` change.
    mutating func begin(_ range: ByteRange) {
        generation += 1
        partChanges?.note(range, generation)
        guard let map else {
            upload?.written.insert(range)
            return
        }
        for page in map.pages(in: range) { map.set(page, map.flags(page) | PageMap.dirty) }
        if range.upperBound > map.originBytes {
            upload?.written.insert(max(range.lowerBound, map.originBytes)..<range.upperBound)
        }
    }

    /// Before the bytes of `range` are cut or added. Pages that go are not marked: if power loss took the cut, they would
    /// count as changed here, though what the object has was perhaps never written to the disk.
    mutating func beginResizing(_ range: ByteRange) {
        generation += 1
        partChanges?.note(range, generation)
        let local = map.map { max(range.lowerBound, $0.originBytes) } ?? range.lowerBound
        if local < range.upperBound { upload?.written.insert(local..<range.upperBound) }
    }

    /// After all bytes of `range` have changed. `added`: bytes that the disk may hold more at most.
    mutating func complete(_ range: ByteRange, growing: Bool) {
        if let map {
            for page in map.pages(in: range) where map.isMissing(page) {
                map.set(page, map.flags(page) | PageMap.present)
                allocatedBytes += PageMap.pageBytes
            }
        }
        guard growing, range.upperBound > sizeBytes else { return }
        allocatedBytes += min(range.upperBound - sizeBytes, range.length)
        sizeBytes = range.upperBound
    }

    /// After a change of `range` failed: missing pages are missing as before.
    mutating func abandon(_ range: ByteRange) {
        guard let map else { return }
        for page in map.pages(in: range) where map.isMissing(page) { map.set(page, 0) }
    }

    /// What the cache's totals have to change by.
    mutating func countedChange() -> (bytes: Int64, dirty: Int64) {
        let dirty = dirtyBytes
        let change = (allocatedBytes - countedBytes, dirty - countedDirtyBytes)
        countedBytes = allocatedBytes
        countedDirtyBytes = dirty
        return change
    }
}

/// Ranges that something happened to, in order and apart; at `limit` of them they become one that holds all.
struct RangeList: Sendable {
    static let limit = 256
    private(set) var ranges: [ByteRange] = []

    mutating func insert(_ range: ByteRange) {
        if range.isEmpty { return }
        if let last = ranges.last, range.lowerBound >= last.lowerBound {
            if range.lowerBound <= last.upperBound {
                ranges[ranges.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                ranges.append(range)
            }
        } else {
            let first = ranges.firstIndex { $0.upperBound >= range.lowerBound } ?? ranges.count
            let end = ranges[first...].firstIndex { $0.lowerBound > range.upperBound } ?? ranges.count
            let lower = first < end ? min(range.lowerBound, ranges[first].lowerBound) : range.lowerBound
            let upper = first < end ? max(range.upperBound, ranges[end - 1].upperBound) : range.upperBound
            ranges.replaceSubrange(first..<end, with: [lower..<upper])
        }
        if ranges.count > Self.limit { ranges = [ranges[0].lowerBound..<ranges[ranges.count - 1].upperBound] }
    }
}
