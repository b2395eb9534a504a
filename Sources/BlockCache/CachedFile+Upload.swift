import CSystem
import Glibc
import ObjectStore
import Primitives

extension CachedFile {
    /// Takes what is dirty now as what is uploaded; the file isn't evicted until `finishUpload`. One at a time: a
    /// later snapshot takes over from an unfinished one, whose end then means nothing. Fails with EBUSY if others have
    /// changed the file since the last look (`noticeUnseen`).
    public func beginUpload() throws(CacheError) -> Snapshot {
        try settleUnseen()
        return try writers.withLock { _ throws(CacheError) in
            try requireSettled()
            return try takeSnapshot(frozen: nil)
        }
    }

    /// A snapshot with a private copy of the content, for files that are written all the time: it can't be disturbed.
    /// Whatever `plan` would name as missing has to be fetched before, and the file pinned while that is done.
    public func beginFrozenUpload() throws(CacheError) -> Snapshot {
        try settleUnseen()
        return try writers.withLock { _ throws(CacheError) in
            try requireSettled()
            let copy = try withoutAccess { () throws(CacheError) in try FrozenContent(of: self) }
            try requireSettled()
            return try takeSnapshot(frozen: copy)
        }
    }

    private func takeSnapshot(frozen: FrozenContent?) throws(CacheError) -> Snapshot {
        try recount()
        let base = takeDigests()
        return state.withLock { state in
            if state.upload == nil { state.pins += 1 }
            if let map = state.map {
                for page in 0..<map.originPages where map.flags(page) & PageMap.dirty != 0 {
                    map.set(page, map.flags(page) & ~PageMap.dirty | PageMap.uploading)
                }
            }
            state.uploads += 1
            state.upload = FileState.ActiveUpload(
                serial: state.uploads, lowestBytes: state.sizeBytes, isUnseen: state.unseen != nil)
            return Snapshot(
                file: self, sizeBytes: state.sizeBytes, generation: state.generation, serial: state.uploads,
                originBytes: state.originBytes, pages: state.map?.snapshot, frozen: frozen, base: base)
        }
    }

    /// The end of an upload. After success (and once the tree knows the new version: not before) what was uploaded
    /// and not changed since is clean, and missing pages come from the new version.
    public func finishUpload(_ snapshot: Snapshot, succeeded: Bool) throws(CacheError) {
        try writers.withLock { _ throws(CacheError) in
            let upload = state.withLock { state -> FileState.ActiveUpload? in
                guard let upload = state.upload, upload.serial == snapshot.serial else { return nil }
                state.upload = nil
                state.pins -= 1
                return upload
            }
            guard let upload else { return }
            let unchanged = isUndisturbed(since: snapshot.generation)
            settleDigests(snapshot, succeeded: succeeded)
            if !succeeded {
                state.withLock { $0.map?.endUpload(succeeded: false) }
            } else {
                try settle(upload, originBytes: min(snapshot.sizeBytes, upload.lowestBytes), unchanged: unchanged)
            }
        }
        countChange()
    }

    private func settle(
        _ upload: FileState.ActiveUpload, originBytes: Int64, unchanged: Bool
    ) throws(CacheError) {
        let (map, size) = state.withLock { state -> (PageMap?, Int64) in
            state.map?.endUpload(succeeded: true)
            return (state.map, state.sizeBytes)
        }
        if state.withLock({ $0.unseen != nil }) || upload.isUnseen && !unchanged {
            return try settleWhole(unchanged: unchanged)
        }
        if unchanged && map.map({ $0.missingPages == 0 }) ?? true {
            try setMode(dirty: false, partial: false)
            if map != nil, !state.withLock({ $0.isRemoved }) { unlink(mapPath) }
            state.withLock { state in
                state.isDirty = false
                state.map = nil
            }
            return
        }
        let grown = map.map { originBytes > $0.originBytes } ?? (max(size, originBytes) >= Self.mapThresholdBytes)
        if grown && originBytes > 0 {
            let made = try makeMap(originBytes: originBytes, flags: PageMap.present) { made in
                if let map { made.copy(from: map) }
                for range in upload.written.ranges { made.markDirty(range) }
            }
            // What was synced without this map must not depend on it before it is on the disk itself.
            try made.sync()
            try cache.syncDirectory(of: id)
            state.withLock { $0.map = made }
        }
        let partial = state.withLock { $0.map != nil }
        try setMode(dirty: !unchanged, partial: partial)
        state.withLock { $0.isDirty = !unchanged }
    }
}

extension CachedFile {
    /// Nobody knows what of the file has changed.
    private func settleWhole(unchanged: Bool) throws(CacheError) {
        try setMode(dirty: !unchanged, partial: false)
        let hadMap = state.withLock { state -> Bool in
            defer { state.map = nil }
            state.isDirty = !unchanged
            return state.map != nil
        }
        if hadMap { unlink(mapPath) }
    }
}

extension BlockDigests {
    /// The flags of a content's pages, as a page map has them.
    func pages(changedSince base: BlockDigests) -> [UInt8] {
        let count = Int((sizeBytes + PageMap.pageBytes - 1) / PageMap.pageBytes)
        var pages = [UInt8](repeating: PageMap.present, count: count)
        for range in changed(since: base) {
            let lower = Int(range.lowerBound / PageMap.pageBytes)
            let upper = min(count, Int((range.upperBound + PageMap.pageBytes - 1) / PageMap.pageBytes))
            for page in lower..<upper { pages[page] |= PageMap.dirty }
        }
        return pages
    }
}

extension PageMap {
    /// What was being uploaded is clean, or dirty again.
    func endUpload(succeeded: Bool) {
        for page in 0..<originPages where flags(page) & Self.uploading != 0 {
            set(page, flags(page) & ~Self.uploading | (succeeded ? 0 : Self.dirty))
        }
    }

    func copy(from old: PageMap) {
        for page in 0..<min(originPages, old.originPages) { set(page, old.flags(page)) }
    }

    func markDirty(_ range: ByteRange) {
        for page in pages(in: range) { set(page, flags(page) | Self.dirty) }
    }
}

/// A private copy of a file's content, without a name. The file's writers are held off while it is made.
final class FrozenContent: Sendable {
    let descriptor: Int32

    init(of file: CachedFile) throws(CacheError) {
        let directory = file.cache.contentDirectory
        descriptor = try CacheError.check("create a copy", directory) {
            pail_open(directory, O_RDWR | pailTemporaryFile | O_CLOEXEC, 0o600)
        }
        if pail_clone(descriptor, file.descriptor) == 0 { return }
        try copyData(of: file)
    }

    deinit { close(descriptor) }

    private func copyData(of file: CachedFile) throws(CacheError) {
        let size = Int64(try file.status().st_size)
        try CacheError.check("copy", file.path) { ftruncate(descriptor, off_t(size)) }
        var position = Int64(lseek(file.descriptor, 0, seekDataWhence))
        while position >= 0 && position < size {
            let end = Int64(lseek(file.descriptor, off_t(position), seekHoleWhence))
            while position < end {
                let copied = try CacheError.check("copy", file.path) {
                    pail_copy_file_range(file.descriptor, position, descriptor, position, Int(end - position))
                }
                if copied == 0 { return }
                position += copied
            }
            position = Int64(lseek(file.descriptor, off_t(position), seekDataWhence))
        }
    }
}

/// O_TMPFILE (open(2)): declared under _GNU_SOURCE only.
private let pailTemporaryFile: Int32 = 0o20_000_000 | O_DIRECTORY

/// SEEK_DATA and SEEK_HOLE (lseek(2)): declared under _GNU_SOURCE only.
let seekDataWhence: Int32 = 3
let seekHoleWhence: Int32 = 4
