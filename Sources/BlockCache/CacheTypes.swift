import Primitives

/// What a read found.
public enum ReadOutcome: Sendable, Equatable {
    /// So many bytes were read; 0 at the end of the file.
    case bytes(Int)
    /// This part of what was asked for has to be fetched first: whole pages, clipped to where the origin ends.
    case missing(ByteRange)
}

/// What a change found.
public enum WriteOutcome: Sendable, Equatable {
    case written
    /// A page that would be changed in part isn't here: fetch this range and try again. There may be two such pages.
    case missing(ByteRange)
}

/// Whether there is room for more bytes.
public enum Room: Sendable, Equatable {
    case available
    /// Some room was made, not yet enough: ask again.
    case evicting
    /// Everything is dirty or in use: wait for uploads, then ask again.
    case wait
    /// Nothing can be evicted and the disk has no space to give.
    case diskFull
}

public struct CacheUsage: Sendable, Equatable {
    public var cachedBytes: Int64
    /// Bytes that are not yet in the bucket.
    public var dirtyBytes: Int64
    public var limitBytes: Int64
    public var files: Int
}

/// What a start finds on the disk.
public struct StartScan: Sendable {
    public struct Found: Sendable, Equatable {
        public var id: UInt64
        public var sizeBytes: Int64
        /// The content file's modification time.
        public var modified: Timestamp
        /// Something in it changed since its last upload.
        public var isDirty: Bool
        /// It has a page map: some of it may be missing.
        public var isPartial: Bool
        /// Others may have written to it, or may still: whether they have, size and time say.
        public var isUnseen: Bool
    }

    public var files: [Found] = []
    /// Dirty files whose page map can't be read: set aside in `lost+found`.
    public var lost: [UInt64] = []
    /// The highest number of a content file that there was, dropped ones too; 0: none.
    public var highest: UInt64 = 0
}
