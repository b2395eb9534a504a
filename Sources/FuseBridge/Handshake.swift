import CFuse
import CSystem
import Glibc
import Primitives
import Telemetry

/// The first message after mounting, FUSE_INIT, in which the kernel and the daemon agree on what they can.
///
/// libfuse 3.14 doesn't know all of it. So its answer is caught in a pipe, put over the session's descriptor
/// meanwhile, completed, and then written to the kernel.
struct Handshake {
    let session: OpaquePointer
    /// How many file systems may lie on others below passthrough; nil: there shall be none.
    let passthroughDepth: Int?
    let log: Log

    /// The file system clears set-id bits, and the kernel needn't ask for `security.capability` before each write.
    private static let handleKillPrivilegesV2: UInt32 = 1 << 28
    /// Lookups and listings of one directory run side by side. Without it one that needs the bucket holds up the others.
    private static let parallelDirectoryOperations: UInt32 = 1 << 18
    /// FUSE_INIT_EXT: `flags2` counts.
    private static let extended: UInt32 = 1 << 30
    /// FUSE_PASSTHROUGH, bit 37 of the flags, from version 7.40 (Linux 6.9) on.
    private static let passthrough: UInt32 = 1 << 5
    private static let passthroughMinor: UInt32 = 40

    /// What libfuse can ask for by itself.
    static func negotiate(_ connection: inout fuse_conn_info, _ log: Log) {
        // Contents change by explicit invalidation alone. The kernel's own cache of writes would hide them from fsync
        // and excludes passthrough. Splicing is slower than a copy here. Truncating while opening (ATOMIC_O_TRUNC) would
        // cut a running program before the kernel refuses the open (ETXTBSY).
        let wanted =
            FUSE_CAP_ASYNC_READ | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_PARALLEL_DIROPS
            | FUSE_CAP_ASYNC_DIO | FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_CACHE_SYMLINKS
            // Where a directory has a default list, new files don't get the umask: the file system sees to both.
            | FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK
        let unwanted =
            FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_SPLICE_READ
            | FUSE_CAP_SPLICE_WRITE
            | FUSE_CAP_SPLICE_MOVE | FUSE_CAP_HANDLE_KILLPRIV
        connection.want |= UInt32(wanted) & connection.capable
        connection.want &= ~UInt32(unwanted)
        connection.max_write = UInt32(Limits.maximumTransferBytes)
        connection.max_background = UInt32(Limits.kernelBackgroundRequests)
        connection.congestion_threshold = connection.max_background * 3 / 4
        log.debug("fuse", "protocol \(connection.proto_major).\(connection.proto_minor)")
    }

    /// To be called once, after mounting and before requests are taken. Returns the kernel's message, and whether there
    /// is passthrough.
    func perform() throws(FuseError) -> (offer: [UInt8], passesThrough: Bool) {
        let device = fuse_session_fd(session)
        let worker = Worker()
        let offered = try receive(worker, device)
        let message = worker.received
        do throws(Errno) {
            var answer = try caught(device) { worker.process(session) }
            try complete(&answer, offered)
            _ = try Errno.check { write(device, answer, answer.count) }
        } catch {
            throw .handshake("\(error)")
        }
        return (message, passesThrough(offered))
    }

    private func passesThrough(_ offered: pail_init_in) -> Bool {
        passthroughDepth != nil && offered.flags & Self.extended != 0 && offered.flags2 & Self.passthrough != 0
            && offered.minor >= Self.passthroughMinor
    }

    /// Instead of `perform` with a kernel that has agreed with another process: libfuse is shown the message, and its
    /// answer, which is the same as then, is dropped.
    func replay(_ message: [UInt8]) throws(FuseError) {
        let worker = Worker()
        worker.take(message)
        guard worker.message?.initialOffer != nil else { throw .handshake("the kernel's offer was not kept") }
        do throws(Errno) {
            _ = try caught(fuse_session_fd(session)) { worker.process(session) }
        } catch {
            throw .handshake("\(error)")
        }
    }

    private func receive(_ worker: Worker, _ device: Int32) throws(FuseError) -> pail_init_in {
        var wait = pollfd(fd: device, events: Int16(POLLIN), revents: 0)
        guard poll(&wait, 1, Limits.handshakeMilliseconds) == 1, worker.receive(from: device),
            let message = worker.message, let offer = message.initialOffer
        else { throw .handshake("no offer from the kernel") }
        return offer
    }

    /// What `body` writes to `device`.
    private func caught(_ device: Int32, _ body: () -> Void) throws(Errno) -> [UInt8] {
        let real = try Errno.check { pail_fcntl(device, F_DUPFD_CLOEXEC, 3) }
        defer { close(real) }
        var ends: [Int32] = [-1, -1]
        try Errno.check { pipe(&ends) }
        defer { close(ends[0]) }
        defer { close(ends[1]) }
        // Nothing written must not mean waiting for ever.
        try Errno.check { pail_fcntl(ends[0], F_SETFL, Int(O_NONBLOCK)) }
        try Errno.check { dup2(ends[1], device) }
        body()
        try Errno.check { dup2(real, device) }
        try Errno.check { pail_fcntl(device, F_SETFD, Int(FD_CLOEXEC)) }
        var answer = [UInt8](repeating: 0, count: 512)
        let count = try Errno.check { read(ends[0], &answer, answer.count) }
        return Array(answer[..<count])
    }

    private func complete(_ answer: inout [UInt8], _ offered: pail_init_in) throws(Errno) {
        let start = MemoryLayout<pail_out_header>.size
        guard answer.count == start + MemoryLayout<pail_init_out>.size else { throw Errno(EPROTO) }
        var agreed = answer.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: start, as: pail_init_out.self) }
        agreed.flags |= offered.flags & (Self.handleKillPrivilegesV2 | Self.parallelDirectoryOperations)
        if passesThrough(offered), let passthroughDepth {
            agreed.flags |= Self.extended
            agreed.flags2 |= Self.passthrough
            agreed.max_stack_depth = UInt32(passthroughDepth) + 1
            agreed.minor = max(agreed.minor, Self.passthroughMinor)
        }
        answer.withUnsafeMutableBytes { $0.storeBytes(of: agreed, toByteOffset: start, as: pail_init_out.self) }
        log.debug(
            "fuse",
            """
            agreed on version 7.\(agreed.minor), flags 0x\(String(agreed.flags, radix: 16)), \
            \(agreed.max_write) bytes a write, \(agreed.max_pages) pages a request
            """)
    }
}
