import CFuse
import FileSystem
import Glibc
import Primitives

// The file system's values as libfuse and the kernel want them.

extension stat {
    init(_ attributes: Attributes) {
        self.init()
        st_ino = .init(attributes.node.raw)
        st_mode = attributes.mode
        st_nlink = .init(attributes.links)
        st_uid = attributes.user
        st_gid = attributes.group
        st_rdev = .init(attributes.device)
        st_size = Int(attributes.sizeBytes)
        st_blocks = Int(attributes.blocks512)
        st_blksize = 4096
        st_atim = attributes.accessed.timespec
        st_mtim = attributes.modified.timespec
        st_ctim = attributes.changed.timespec
    }
}

extension fuse_entry_param {
    init(_ entry: Entry) {
        self.init()
        ino = entry.attributes.node.raw
        // Node numbers are never reused, so one generation is enough.
        generation = 0
        attr = stat(entry.attributes)
        attr_timeout = Double(entry.attributeMilliseconds) / 1000
        entry_timeout = Double(entry.nameMilliseconds) / 1000
    }
}

extension pail_entry_out {
    init(_ entry: Entry) {
        self.init()
        nodeid = entry.attributes.node.raw
        entry_valid = UInt64(entry.nameMilliseconds / 1000)
        entry_valid_nsec = UInt32(entry.nameMilliseconds % 1000) * 1_000_000
        attr_valid = UInt64(entry.attributeMilliseconds / 1000)
        attr_valid_nsec = UInt32(entry.attributeMilliseconds % 1000) * 1_000_000
        attr = pail_attr(entry.attributes)
    }
}

extension pail_attr {
    init(_ attributes: Attributes) {
        self.init()
        ino = attributes.node.raw
        size = UInt64(attributes.sizeBytes)
        blocks = UInt64(attributes.blocks512)
        atime = UInt64(bitPattern: attributes.accessed.seconds)
        mtime = UInt64(bitPattern: attributes.modified.seconds)
        ctime = UInt64(bitPattern: attributes.changed.seconds)
        atimensec = UInt32(attributes.accessed.fraction)
        mtimensec = UInt32(attributes.modified.fraction)
        ctimensec = UInt32(attributes.changed.fraction)
        mode = attributes.mode
        nlink = attributes.links
        uid = attributes.user
        gid = attributes.group
        rdev = UInt32(truncatingIfNeeded: attributes.device)
        blksize = 4096
    }
}

extension pail_open_out {
    // Of linux/fuse.h: FOPEN_DIRECT_IO, FOPEN_KEEP_CACHE, FOPEN_CACHE_DIR, FOPEN_NOFLUSH, FOPEN_PARALLEL_DIRECT_WRITES, FOPEN_PASSTHROUGH.
    private static let direct: UInt32 = 1 << 0
    private static let keepCache: UInt32 = 1 << 1
    private static let cacheDirectory: UInt32 = 1 << 3
    private static let noFlush: UInt32 = 1 << 5
    private static let parallelDirectWrites: UInt32 = 1 << 6
    private static let passthrough: UInt32 = 1 << 7

    /// `flags` are those of open(2). Nothing is flushed when a descriptor is closed that can't be mapped for writing: what
    /// came to this process is kept already, and what comes past it is looked at then.
    init(_ opened: Opened, flags: Int32) {
        self.init()
        fh = opened.handle.raw
        switch opened.route {
        case .daemon: open_flags = Self.parallelDirectWrites | Self.keepCache
        case .kernel(let id):
            open_flags = Self.passthrough
            backing_id = id
        case .both(let id):
            open_flags = Self.passthrough | Self.direct | Self.parallelDirectWrites
            backing_id = id
        }
        let access = flags & O_ACCMODE
        if access == O_RDONLY || access == O_WRONLY && opened.route == .daemon { open_flags |= Self.noFlush }
    }

    init(_ opened: OpenedDirectory) {
        self.init()
        fh = opened.handle.raw
        switch opened.reading {
        case .asked: break
        case .kept: open_flags = Self.cacheDirectory
        case .known: open_flags = Self.cacheDirectory | Self.keepCache
        }
    }
}

extension statvfs {
    init(_ statistics: FileSystemStatistics) {
        self.init()
        f_bsize = UInt(statistics.blockSizeBytes)
        f_frsize = UInt(statistics.blockSizeBytes)
        f_blocks = .init(statistics.blocks)
        f_bfree = .init(statistics.freeBlocks)
        f_bavail = .init(statistics.freeBlocks)
        f_files = .init(statistics.nodes)
        f_ffree = .init(statistics.freeNodes)
        f_favail = .init(statistics.freeNodes)
        f_namemax = UInt(statistics.maximumNameBytes)
    }
}

extension Caller {
    /// Who made a request that has not been answered yet.
    init(_ request: OpaquePointer) {
        let context = fuse_req_ctx(request)!.pointee
        self.init(user: context.uid, group: context.gid, process: context.pid, umask: context.umask)
    }
}

extension AttributeChange {
    /// `which` are libfuse's FUSE_SET_ATTR bits.
    init(_ attributes: stat, which: Int32) {
        self.init()
        if which & FUSE_SET_ATTR_MODE != 0 { mode = attributes.st_mode }
        if which & FUSE_SET_ATTR_UID != 0 { user = attributes.st_uid }
        if which & FUSE_SET_ATTR_GID != 0 { group = attributes.st_gid }
        if which & FUSE_SET_ATTR_SIZE != 0 { sizeBytes = Int64(attributes.st_size) }
        if which & FUSE_SET_ATTR_ATIME != 0 { accessed = .at(Timestamp(attributes.st_atim)) }
        if which & FUSE_SET_ATTR_MTIME != 0 { modified = .at(Timestamp(attributes.st_mtim)) }
        if which & FUSE_SET_ATTR_ATIME_NOW != 0 { accessed = .now }
        if which & FUSE_SET_ATTR_MTIME_NOW != 0 { modified = .now }
    }
}
