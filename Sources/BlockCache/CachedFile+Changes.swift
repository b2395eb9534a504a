import CSystem
import Glibc
import Primitives

extension CachedFile {
    static let punchHole: Int32 = 2
    static let keepSize: Int32 = 1

    /// Writes all of `bytes`, or throws; the file then may hold a part of them where it held something before.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(CacheError) -> WriteOutcome {
        if bytes.isEmpty { return .written }
        let range = ByteRange(offset: offset, length: Int64(bytes.count))
        return try change(range, growing: true) { () throws(CacheError) in
            try self.writeBytes(bytes, at: offset)
        }
    }

    /// Makes `range` read as zeros. With `keepSize`, clipped to the file's end.
    public func zero(_ range: ByteRange, keepSize: Bool) throws(CacheError) -> WriteOutcome {
        let size = sizeBytes
        let inside = range.clamped(to: 0..<max(size, range.lowerBound))
        var outcome = WriteOutcome.written
        if !inside.isEmpty && inside.lowerBound < size {
            let clipped = inside.lowerBound..<min(inside.upperBound, size)
            outcome = try change(clipped, growing: false) { () throws(CacheError) in try self.punch(clipped) }
        }
        guard outcome == .written else { return outcome }
        if !keepSize && range.upperBound > size { return try truncate(to: range.upperBound) }
        try recount()
        return .written
    }

    /// Reserves space for `range`. Without `keepSize` the file grows to hold it.
    public func allocate(_ range: ByteRange, keepSize: Bool) throws(CacheError) {
        try writers.withLock { _ throws(CacheError) in
            let size = sizeBytes
            if !keepSize && range.upperBound > size {
                try becomeDirty()
                state.withLock { $0.begin(size..<range.upperBound) }
            }
            try CacheError.check("allocate", path) {
                pail_fallocate(descriptor, keepSize ? Self.keepSize : 0, range.lowerBound, range.length)
            }
            try recount()
        }
    }

    /// Cuts the file or lengthens it with zeros. Never needs anything fetched.
    @discardableResult
    public func truncate(to newSize: Int64) throws(CacheError) -> WriteOutcome {
        try writers.withLock { _ throws(CacheError) in
            let size = sizeBytes
            if newSize == size { return .written }
            try becomeDirty()
            state.withLock { $0.beginResizing(min(size, newSize)..<max(size, newSize)) }
            try CacheError.check("truncate", path) { ftruncate(descriptor, off_t(newSize)) }
            state.withLock { state in
                // After the cut: a map that reaches beyond the file's end is cut when it is read.
                if let map = state.map, newSize < map.originBytes { map.originBytes = newSize }
                if let lowest = state.upload?.lowestBytes, newSize < lowest { state.upload?.lowestBytes = newSize }
            }
            try recount()
            return .written
        }
    }

    /// Puts fetched bytes where pages are missing; pages that are here, changed or not, are left alone. `offset` is at
    /// a page's start and the end at a page's end or the origin's; other bytes at the edges are ignored.
    public func land(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(CacheError) {
        let range = ByteRange(offset: offset, length: Int64(bytes.count))
        try writers.withLock { _ throws(CacheError) in
            let (runs, isDirty) = state.withLock { ($0.map?.missing(in: range) ?? [], $0.isDirty) }
            if runs.isEmpty { return }
            let before = isDirty ? modified : .zero
            for run in runs where run.lowerBound >= offset {
                let whole = Self.wholePages(run, end: range.upperBound)
                if whole.isEmpty { continue }
                let start = Int(whole.lowerBound - offset)
                let part = UnsafeRawBufferPointer(rebasing: bytes[start..<(start + Int(whole.length))])
                try writeBytes(part, at: whole.lowerBound)
                state.withLock { $0.complete(whole, growing: false) }
            }
            if isDirty { try setModified(before) }
            if state.withLock({ !$0.isDirty && $0.map?.missingPages == 0 }) { try dropMap() }
        }
        countChange()
    }

    public func land(_ bytes: [UInt8], at offset: Int64) throws(CacheError) {
        let outcome = bytes.withUnsafeBytes { buffer -> Result<Void, CacheError> in
            do throws(CacheError) {
                return .success(try self.land(buffer, at: offset))
            } catch {
                return .failure(error)
            }
        }
        try outcome.get()
    }

    /// `run` up to `end`, without a last page that `end` cuts.
    private static func wholePages(_ run: ByteRange, end: Int64) -> ByteRange {
        if run.upperBound <= end { return run }
        return run.lowerBound..<max(run.lowerBound, end / PageMap.pageBytes * PageMap.pageBytes)
    }

    /// A change of the bytes in `range`: marked before, done, and marked as here after.
    private func change(
        _ range: ByteRange, growing: Bool, _ body: () throws(CacheError) -> Void
    ) throws(CacheError) -> WriteOutcome {
        let outcome = try writers.withLock { _ throws(CacheError) -> WriteOutcome in
            let (missing, isDirty) = state.withLock { ($0.missingEdge(of: range), $0.isDirty) }
            if let missing { return .missing(missing) }
            if !isDirty { try becomeDirty() }
            state.withLock { $0.begin(range) }
            do throws(CacheError) {
                try body()
            } catch {
                state.withLock { $0.abandon(range) }
                throw error
            }
            state.withLock { $0.complete(range, growing: growing) }
            return .written
        }
        countChange()
        return outcome
    }

    private func writeBytes(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(CacheError) {
        var done = 0
        while done < bytes.count {
            do throws(CacheError) {
                done += try CacheError.check("write", path) {
                    pwrite(descriptor, bytes.baseAddress! + done, bytes.count - done, off_t(offset) + off_t(done))
                }
            } catch {
                // What was written beyond the former end goes again.
                let size = state.withLock { $0.sizeBytes }
                if offset + Int64(done) > size { ftruncate(descriptor, off_t(size)) }
                throw error
            }
        }
    }

    private func punch(_ range: ByteRange) throws(CacheError) {
        let mode = Self.punchHole | Self.keepSize
        if pail_fallocate(descriptor, mode, range.lowerBound, range.length) == 0 { return }
        guard errno == EOPNOTSUPP else { throw CacheError(.current, "punch", path) }
        let zeros = [UInt8](repeating: 0, count: 1 << 16)
        var position = range.lowerBound
        while position < range.upperBound {
            let length = min(Int64(zeros.count), range.upperBound - position)
            let written = zeros.withUnsafeBytes { pwrite(descriptor, $0.baseAddress!, Int(length), off_t(position)) }
            guard written > 0 else { throw CacheError(.current, "write", path) }
            position += Int64(written)
        }
    }

    /// Gives back the space of up to `limit` bytes of clean pages; returns how many it gave. Nothing of a file that is
    /// pinned, or open elsewhere: who has it mapped would read zeros.
    func evict(limit: Int64) throws(CacheError) -> Int64 {
        try writers.withLock { _ throws(CacheError) in
            let (map, isDirty, size, busy) = state.withLock { ($0.map, $0.isDirty, $0.sizeBytes, $0.isHeld) }
            if busy || size == 0 || (map == nil && isDirty) || isOpenElsewhere { return 0 }
            if map == nil {
                let made = try makeMap(originBytes: size, flags: PageMap.present)
                try setMode(dirty: false, partial: true)
                state.withLock { $0.map = made }
            }
            if state.withLock({ $0.mayBeDirtyOnDisk }) {
                // After power loss holes would count as content, and be uploaded, where the mode is an older one.
                try sync(dataOnly: false)
                state.withLock { $0.mayBeDirtyOnDisk = false }
            }
            let runs = state.withLock { $0.takeCleanPages(limit: limit) }
            if runs.isEmpty { return 0 }
            let before = modified
            var freed: Int64 = 0
            for run in runs {
                let mode = Self.punchHole | Self.keepSize
                try CacheError.check("punch", path) {
                    pail_fallocate(descriptor, mode, run.lowerBound, run.length)
                }
                freed += run.length
            }
            try setModified(before)
            try recount()
            return freed
        }
    }
}

extension FileState {
    /// Makes up to `limit` bytes of clean pages missing, and returns which. The page in which the origin ends stays: it
    /// may hold local bytes too.
    mutating func takeCleanPages(limit: Int64) -> [ByteRange] {
        guard let map, !isHeld else { return [] }
        let full = 0..<(map.originBytes / PageMap.pageBytes * PageMap.pageBytes)
        var left = Int(limit / PageMap.pageBytes)
        var taken: [ByteRange] = []
        for run in map.runs(in: full, where: { $0 == PageMap.present }) where left > 0 {
            let pages = run.lowerBound..<min(run.upperBound, run.lowerBound + left)
            for page in pages { map.set(page, 0) }
            left -= pages.count
            taken.append(map.bytes(of: pages))
        }
        if !taken.isEmpty { evictions += 1 }
        return taken
    }
}
