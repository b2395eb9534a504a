import BlockCache
import Glibc
import Primitives
import Tree

/// Files that the kernel reads and writes by itself (passthrough): straight on the content file, past this process.
///
/// The kernel wants all handles of a file opened in one way: either requests for all of them come here, or none does
/// (fs/fuse/iomode.c). So the first one decides; `OpenMode` says how.
public struct BackingFiles: Sendable {
    /// Makes an open file known to the kernel, and gives the id that it is known by; nil if that can't be done.
    let open: @Sendable (Int32) -> Int32?
    let close: @Sendable (Int32) -> Void
    /// Files that nobody has open are opened so. False: only those that are open so already.
    let isChosen: Bool

    public init(
        isChosen: Bool, open: @escaping @Sendable (Int32) -> Int32?, close: @escaping @Sendable (Int32) -> Void
    ) {
        self.isChosen = isChosen
        self.open = open
        self.close = close
    }
}

/// Who reads and writes for a handle.
public enum Route: Sendable, Equatable {
    /// Requests come to this process.
    case daemon
    /// The kernel does, on the backing file of that id.
    case kernel(Int32)
    /// Requests come to this process although the file is open for the kernel, which maps it to memory by itself.
    case both(Int32)
}

/// How the kernel has a file open.
struct OpenMode: Sendable {
    /// The id of the backing file; 0: requests come to this process.
    var backing: Int32 = 0
    /// The content is kept from being evicted for it.
    var isPinned = false
    /// Handles that this process has opened.
    var own = 0
    /// At most so many that the process before has opened.
    var former = 0
    /// Its place in the table for the next process.
    var slot: Int?

    var handles: Int { own + former }

    func entry(_ node: NodeID) -> OpenTable.Entry {
        OpenTable.Entry(node: node, backing: backing, handles: handles)
    }
}

extension FileSystem {
    /// Up to here files are uploaded whole. Of what is written to larger ones only what changes is uploaded: that is
    /// followed by this process, or found by the digests of what the bucket has, if they are known.
    static let wholeBytes: Int64 = 8 << 20
    /// What is written to files beyond is always followed: to find what changed, all of a file is read.
    static let comparedBytes: Int64 = 1 << 30
    /// Room that there must be in the cache, and on its disk, for files to be written unseen: nobody holds up who writes
    /// so.
    static let unseenDirtyBytes: Int64 = 1 << 30
    static let unseenDiskBytes: Int64 = 8 << 30
    /// O_DIRECT of open(2), which <fcntl.h> shows under _GNU_SOURCE only.
    private static let direct: Int32 = 0o40000

    /// From now on files may be opened for the kernel's own reading and writing. To be called before requests are served.
    public func passThrough(_ files: BackingFiles) {
        backing.withLock { $0 = files }
        if files.isChosen { contents.learnDigests() }
    }

    /// Counts a handle of an open file, and says how the kernel is to open it. Pair with `leave`.
    func enter(_ open: OpenNode, _ found: Node, flags: Int32) throws(Failure) -> Route {
        let files = backing.withLock { $0 }
        let isWriting = flags & O_ACCMODE != O_RDONLY
        if isWriting { try settle(open) }
        let node = isWriting ? try self.node(open.id) : found
        return try open.mode.withLock { mode throws(Failure) in
            let isFirst = mode.handles == 0
            if isFirst, let files, mayPass(open, node, flags, files) { begin(open, files, &mode) }
            var route = Route.daemon
            if mode.backing != 0 {
                do throws(Failure) {
                    route = try share(open, node, flags, mode.backing)
                } catch {
                    if isFirst { end(open, &mode) }
                    throw error
                }
            }
            mode.own += 1
            note(&mode, open.id)
            return route
        }
    }

    /// Gives a handle up.
    func leave(_ file: OpenFile) {
        let open = file.node
        let isHeld = open.mode.withLock { mode -> Bool in
            if file.isFormer { mode.former = max(0, mode.former - 1) } else { mode.own -= 1 }
            if mode.handles == 0, mode.backing != 0 { end(open, &mode) }
            note(&mode, open.id)
            return mode.handles > 0
        }
        if !isHeld, open.file.isUnseen { finishUnseen(open) }
    }

    /// The handles that the process before has opened are gone.
    func leaveFormer(_ open: OpenNode) {
        open.mode.withLock { mode in
            mode.former = 0
            if mode.handles == 0, mode.backing != 0 { end(open, &mode) }
            note(&mode, open.id)
        }
    }

    /// Whether a file that nobody has open is to be opened for the kernel's own reading and writing.
    private func mayPass(_ open: OpenNode, _ node: Node, _ flags: Int32, _ files: BackingFiles) -> Bool {
        guard open.file.isWhole else { return false }
        if files.isChosen, flags & FileSystem.direct == 0 {
            if flags & O_ACCMODE == O_RDONLY { return true }
            if !isFollowed(open, node, flags), hasRoomForUnseen { return true }
        }
        // Who has it mapped still, past this process, must see what is written.
        return open.file.isOpenElsewhere
    }

    /// Whether who opens a file now may write to it without being held up.
    var hasRoomForUnseen: Bool {
        contents.hasRoom(dirtyBytes: FileSystem.unseenDirtyBytes, diskBytes: FileSystem.unseenDiskBytes)
    }

    /// Whether what is written to the file has to come through this process.
    private func isFollowed(_ open: OpenNode, _ node: Node, _ flags: Int32) -> Bool {
        // A log: it grows without rest, and would have to be compared as a whole each time that it is uploaded.
        if flags & O_APPEND != 0 { return true }

        // The kernel leaves the set-id bits to us.
        if node.mode.withoutPrivileges != node.mode { return true }
        guard isLarge(open, node), !open.file.isUnseen else { return false }
        return open.file.sizeBytes > FileSystem.comparedBytes || !open.file.knowsDigests
    }

    /// Whether not all of it shall be uploaded when a part of it changes.
    func isLarge(_ open: OpenNode, _ node: Node) -> Bool {
        node.origin != nil && open.file.sizeBytes > FileSystem.wholeBytes
    }

    private func begin(_ open: OpenNode, _ files: BackingFiles, _ mode: inout OpenMode) {
        mode.isPinned = open.file.pinWhole()
        guard mode.isPinned else { return }
        mode.backing = files.open(open.file.backingDescriptor) ?? 0
        if mode.backing == 0 { unpin(open, &mode) }
    }

    private func end(_ open: OpenNode, _ mode: inout OpenMode) {
        backing.withLock { $0 }?.close(mode.backing)
        mode.backing = 0
        unpin(open, &mode)
    }

    private func unpin(_ open: OpenNode, _ mode: inout OpenMode) {
        if mode.isPinned { open.file.unpin() }
        mode.isPinned = false
    }

    /// The route of one more handle of a file that the kernel reads and writes.
    private func share(_ open: OpenNode, _ node: Node, _ flags: Int32, _ id: Int32) throws(Failure) -> Route {
        let access = flags & O_ACCMODE
        // What is open for reading and writing can be mapped, and stores to memory come past everybody.
        let isFollowed = access != O_RDONLY && isFollowed(open, node, flags)
        if access == O_RDWR || access == O_WRONLY && !isFollowed { try beginUnseen(open, access) }
        if access != O_WRONLY { primeAccess(open, node) }
        return isFollowed || flags & FileSystem.direct != 0 ? .both(id) : .kernel(id)
    }

    private func note(_ mode: inout OpenMode, _ node: NodeID) {
        guard let table = references?.openFiles else { return }
        if let slot = mode.slot {
            if mode.handles > 0 { return table.set(slot, mode.entry(node)) }
            table.remove(slot)
            mode.slot = nil
        } else if mode.handles > 0 {
            mode.slot = table.add(mode.entry(node))
        }
    }
}
