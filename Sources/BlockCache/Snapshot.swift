import Glibc
import ObjectStore
import Primitives

/// A file's content as it was when an upload began. Without a private copy, reading it fails once the file has been
/// changed, so a version is never mixed of two states.
public struct Snapshot: ByteSource, Sendable {
    let file: CachedFile
    public let sizeBytes: Int64
    public let generation: UInt64
    let serial: UInt64
    var originBytes: Int64
    /// The page map's flags then, or what the digests say; nil: everything was here, and may be new.
    var pages: [UInt8]?
    let frozen: FrozenContent?
    /// What the bucket had of a large file, if it is known.
    let base: BlockDigests?
    /// What it has after the upload, if that is known.
    var digests: BlockDigests?

    /// Nothing in it was changed since it was last in the bucket.
    public var isClean: Bool { pages.map { !Self.isChanged($0, 0..<sizeBytes) } ?? false }

    /// What to upload, and what of it has to be fetched first. Unchanged ranges are taken from `base`, the version
    /// that the file's missing pages come from, in blocks aligned to `granularity` bytes; without a base, or when it
    /// doesn't pay, everything is new.
    public func plan(
        base: UploadPlan.Base?, baseSizeBytes: Int64, granularity: Int64
    ) -> (plan: UploadPlan, missing: [ByteRange]) {
        let segments = base == nil ? [] : segments(baseSizeBytes: baseSizeBytes, granularity: max(granularity, 4096))
        let newBytes = segments.reduce(Int64(0)) { sum, segment in
            if case .new(let range) = segment { return sum + range.length }
            return sum
        }
        if let base, !segments.isEmpty, newBytes * 4 <= sizeBytes * 3 {
            let new = segments.compactMap { segment -> ByteRange? in
                if case .new(let range) = segment { return range }
                return nil
            }
            return (UploadPlan(segments: segments, base: base, source: self), new.flatMap(missing(in:)))
        }
        return (UploadPlan(whole: self, sizeBytes: sizeBytes), missing(in: 0..<sizeBytes))
    }

    /// Blocks of the granularity that are new or unchanged, neighbours joined; empty if it can't pay.
    private func segments(baseSizeBytes: Int64, granularity: Int64) -> [UploadPlan.Segment] {
        guard let pages, sizeBytes >= 2 * granularity else { return [] }
        let shared = min(originBytes, baseSizeBytes, sizeBytes)
        var segments: [UploadPlan.Segment] = []
        var start: Int64 = 0
        var isNew: Bool?
        for lower in stride(from: Int64(0), to: sizeBytes, by: Int(granularity)) {
            let upper = min(lower + granularity, sizeBytes)
            let changed = upper > shared || Self.isChanged(pages, lower..<upper)
            if let isNew, isNew != changed {
                segments.append(isNew ? .new(start..<lower) : .unchanged(start..<lower))
                start = lower
            }
            isNew = changed
        }
        if let isNew { segments.append(isNew ? .new(start..<sizeBytes) : .unchanged(start..<sizeBytes)) }
        return segments
    }

    private static func isChanged(_ pages: [UInt8], _ range: ByteRange) -> Bool {
        let first = Int(range.lowerBound / PageMap.pageBytes)
        let end = min(Int((range.upperBound + PageMap.pageBytes - 1) / PageMap.pageBytes), pages.count)
        return pages[first..<max(first, end)].contains { $0 & (PageMap.dirty | PageMap.uploading) != 0 }
    }

    private func missing(in range: ByteRange) -> [ByteRange] {
        guard let pages else { return [] }
        var missing: [ByteRange] = []
        let first = Int(range.lowerBound / PageMap.pageBytes)
        let upper = min(range.upperBound, originBytes)
        let end = min(Int((upper + PageMap.pageBytes - 1) / PageMap.pageBytes), pages.count)
        for page in first..<max(first, end) where pages[page] & PageMap.present == 0 {
            let lower = Int64(page) * PageMap.pageBytes
            let bytes = lower..<min(lower + PageMap.pageBytes, originBytes)
            if let last = missing.last, last.upperBound == lower {
                missing[missing.count - 1] = last.lowerBound..<bytes.upperBound
            } else {
                missing.append(bytes)
            }
        }
        return missing
    }

    public func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) {
        let range = ByteRange(offset: offset, length: Int64(buffer.count))
        guard offset >= 0, range.upperBound <= sizeBytes else { throw Self.changed }
        if let frozen { return try read(frozen, range, into: buffer) }
        guard file.isUndisturbed(since: generation) else { throw Self.changed }
        let outcome: ReadOutcome
        do throws(CacheError) {
            outcome = try file.withoutAccess { () throws(CacheError) in try file.read(into: buffer, at: offset) }
        } catch {
            throw StoreError(.refused, "read source", detail: error.description)
        }
        guard outcome == .bytes(buffer.count), file.isUndisturbed(since: generation) else { throw Self.changed }
    }

    private func read(
        _ frozen: FrozenContent, _ range: ByteRange, into buffer: UnsafeMutableRawBufferPointer
    ) throws(StoreError) {
        guard missing(in: range).isEmpty else { throw Self.changed }
        var done = 0
        while done < buffer.count {
            let offset = off_t(range.lowerBound) + off_t(done)
            let count = pread(frozen.descriptor, buffer.baseAddress! + done, buffer.count - done, offset)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw StoreError(.refused, "read source", detail: Errno.current.description) }
            done += count
        }
    }

    private static var changed: StoreError {
        StoreError(.cancelled, "read source", detail: "the file changed while it was uploaded")
    }
}
