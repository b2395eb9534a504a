import BlockCache
import Glibc
import Primitives
import Tree

/// Reading and writing.
extension FileSystem {
    /// The largest file: what fits S3's largest object.
    static let maximumFileBytes: Int64 = 5 << 40

    /// Reads into `buffer`; fewer bytes only at the end of the file. On a hit nothing is allocated and no lock held.
    public func read(
        _ handle: HandleID, offset: Int64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(Failure) -> Int {
        let file = try file(handle)
        guard file.isReadable else { throw Failure(EBADF) }
        switch try cached(file.node.file.read(into: buffer, at: offset)) {
        case .bytes(let count):
            if file.node.takeAccess(), let node = try local(tree.node(file.node.id)) { noteAccess(node) }
            if !file.node.file.isWhole {
                fetchAhead(file, ByteRange(offset: offset, length: Int64(buffer.count)), isWaiting: false)
            }
            return count
        case .missing(let range):
            fetchAhead(file, ByteRange(offset: offset, length: Int64(buffer.count)), isWaiting: true)
            throw .need(.pages(file.node.id, range))
        }
    }

    /// Fetches in the background what the reader wants, and will want next.
    private func fetchAhead(_ file: OpenFile, _ range: ByteRange, isWaiting: Bool) {
        let content = file.node.file
        let size = content.sizeBytes
        let decision = file.readAhead.withLock { $0.next(read: range, size: size, isWaiting: isWaiting) }
        if decision.isSeek { file.aheadFetches.cancel() }
        guard !decision.requests.isEmpty, let origin = (try? tree.node(file.node.id))??.origin else { return }
        file.aheadFetches.start(decision.requests, origin: origin, isWaiting: isWaiting && decision.isSeek)
    }

    /// Writes all of `bytes`. With `killPrivileges` the set-id bits go (the writer may not keep them).
    public func write(
        _ handle: HandleID, offset: Int64, from bytes: UnsafeRawBufferPointer, killPrivileges: Bool
    ) throws(Failure) -> Int {
        let file = try file(handle)
        guard file.isWritable else { throw Failure(EBADF) }
        guard offset + Int64(bytes.count) <= FileSystem.maximumFileBytes else { throw Failure(EFBIG) }
        try requireRoom(Int64(bytes.count))
        try change(file.node) { content throws(CacheError) in try content.write(bytes, at: offset) }
        try noteChange(file.node, killPrivileges: killPrivileges)
        return bytes.count
    }

    /// Waits, by a need, until the cache has room; at a full disk with nothing to evict it is ENOSPC.
    private func requireRoom(_ bytes: Int64) throws(Failure) {
        switch contents.makeRoom(bytes: bytes, forWriting: true) {
        case .available: return
        case .evicting, .wait: throw .need(.room(bytes))
        case .diskFull: throw Failure(ENOSPC)
        }
    }

    private func change(
        _ open: OpenNode, _ body: (CachedFile) throws(CacheError) -> WriteOutcome
    ) throws(Failure) {
        let outcome: WriteOutcome
        do throws(CacheError) { outcome = try body(open.file) } catch let error { throw .errno(error.errno) }
        if case .missing(let range) = outcome { throw .need(.pages(open.id, range)) }
    }

    /// Records that the content was changed, before the change is acknowledged. Only the first change after an
    /// upload began, or after the last settling, costs a transaction.
    func noteChange(_ open: OpenNode, killPrivileges: Bool) throws(Failure) {
        let now = time.now()
        if open.file.isUnseen { try cached(open.file.restamp(now)) }
        try noteChange(open, at: now)
        guard killPrivileges else { return }
        let node = try node(open.id)
        guard node.mode.withoutPrivileges != node.mode else { return }
        _ = try local(tree.update(open.id, forBucket: true) { $0.mode = $0.mode.withoutPrivileges })
        invalidate(.attributes(open.id))
    }

    func noteChange(_ open: OpenNode, at now: Timestamp) throws(Failure) {
        let uploads = open.file.uploadsBegun
        let isKnown = open.state.withLock { state -> Bool in
            state.modified = now
            state.isAccessNoted = false
            let isKnown = state.announced == uploads
            state.announced = uploads
            return isKnown
        }
        if !isKnown {
            try local(tree.touchContent(open.id))
            // What lost its name to a change in the bucket gets it back.
            if open.file.isNameless, try node(open.id).links > 0 { contents.setNameless(open.file, false) }
        }
    }

    /// fallocate(2).
    public func allocate(
        _ handle: HandleID, mode: Int32, offset: Int64, length: Int64, _ caller: Caller
    ) throws(Failure) {
        let keepSize: Int32 = 0x01
        let punchHole: Int32 = 0x02
        let zeroRange: Int32 = 0x10
        let file = try file(handle)
        guard file.isWritable else { throw Failure(EBADF) }
        guard offset >= 0, length > 0 else { throw Failure(EINVAL) }
        guard offset + length <= FileSystem.maximumFileBytes else { throw Failure(EFBIG) }
        let range = ByteRange(offset: offset, length: length)
        switch mode {
        case 0, keepSize:
            try requireRoom(length)
            try change(file.node) { content throws(CacheError) in
                try content.allocate(range, keepSize: mode == keepSize)
                return .written
            }
        case punchHole | keepSize:
            try change(file.node) { content throws(CacheError) in try content.zero(range, keepSize: true) }
        case zeroRange, zeroRange | keepSize:
            try change(file.node) { content throws(CacheError) in
                try content.zero(range, keepSize: mode & keepSize != 0)
            }
        default: throw Failure(EOPNOTSUPP)
        }
        try noteChange(file.node, killPrivileges: caller.losesPrivileges)
    }

    /// copy_file_range(2): copies through the cache; may copy less than asked.
    public func copyRange(
        _ from: HandleID, fromOffset: Int64, _ to: HandleID, toOffset: Int64, length: Int64, _ caller: Caller
    ) throws(Failure) -> Int {
        let step = Int(min(length, 1 << 20))
        guard step > 0 else { return 0 }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: step, alignment: 4_096)
        defer { buffer.deallocate() }
        let count = try read(from, offset: fromOffset, into: buffer)
        guard count > 0 else { return 0 }
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[0..<count])
        return try write(to, offset: toOffset, from: bytes, killPrivileges: caller.losesPrivileges)
    }

    /// lseek(2) with SEEK_DATA or SEEK_HOLE.
    public func seek(_ handle: HandleID, offset: Int64, whence: Int32) throws(Failure) -> Int64 {
        let file = try file(handle)
        // <unistd.h> shows these under _GNU_SOURCE only.
        let seekData: Int32 = 3
        let seekHole: Int32 = 4
        let place: Int64?
        switch whence {
        case seekData: place = try cached(file.node.file.seekData(from: offset))
        case seekHole: place = try cached(file.node.file.seekHole(from: offset))
        default: throw Failure(EINVAL)
        }
        guard let place else { throw Failure(ENXIO) }
        return place
    }
}
