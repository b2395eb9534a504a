/// What bounds a session.
enum Limits {
    /// The biggest read or write request: FUSE_MAX_MAX_PAGES of 4 KiB.
    static let maximumTransferBytes = 1 << 20
    /// Room for a request's headers before its data.
    static let headerBytes = 4096
    /// Requests that wait for the bucket. With more, the threads that take requests wait too.
    static let parkedRequests = 4096
    /// How often an operation that needs the bucket is tried again before it fails with EIO.
    static let parkedRounds = 10_000
    /// What the kernel still has to be told to forget; what comes beyond it is dropped, and expires by its timeout.
    static let pendingInvalidations = 16_384
    /// Background requests (read-ahead, asynchronous releases) that the kernel sends at a time.
    static let kernelBackgroundRequests: UInt16 = 64
    /// For the kernel's first message after mounting.
    static let handshakeMilliseconds: Int32 = 10_000
    /// For parked requests to end when the session does.
    static let drainMilliseconds: Int64 = 10_000
    /// Between looks at whether every thread has ended.
    static let endPollMicroseconds: UInt32 = 1000
    /// Between looks at whether an interrupted caller is being killed.
    static let interruptionPollMilliseconds: UInt64 = 100
}
