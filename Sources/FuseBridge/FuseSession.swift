import CFuse
import FileSystem
import Glibc
import Primitives
import Telemetry

/// A file system mounted on a directory: `mount`, then `run` until it is unmounted. Each once.
public final class FuseSession: Sendable {
    private enum Phase {
        case new
        case mounted(MountPoint)
        case ended
    }

    private let session: Handle
    private let bridge: Bridge
    private let notifier: Notifier
    private let phase = Lock(Phase.new)
    /// Workers that have ended.
    private let finished = Counter()
    /// Signalled when a worker ends, and by `stop`.
    private let ended = Semaphore()
    private let log: Log
    private let former: FormerSession?
    private let passes = Lock(false)
    /// The kernel's first message, and whether it may read and write contents by itself.
    private let agreed = Lock((offer: [UInt8](), passesThrough: false))

    /// libfuse's session, which is safe to use from any thread.
    private struct Handle: @unchecked Sendable { let pointer: OpaquePointer }

    /// - Parameter former: what `takeOver` is to take over; its device is this session's from then on.
    public init(
        fileSystem: FileSystem, options: SessionOptions, former: FormerSession? = nil, log: Log
    ) throws(FuseError) {
        self.log = log
        self.former = former
        LibraryLog.use(log)
        bridge = Bridge(fileSystem: fileSystem, options: options, isTakenOver: former != nil, log: log)
        let notifier = Notifier(log: log)
        self.notifier = notifier
        var operations = Bridge.operations()
        let user = Unmanaged.passUnretained(bridge).toOpaque()
        let words = ["pail", "-o", options.mountOptions]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        defer { for argument in arguments { free(argument) } }
        let pointer = arguments.withUnsafeMutableBufferPointer { buffer in
            var list = fuse_args()
            list.argc = Int32(buffer.count)
            list.argv = buffer.baseAddress
            defer { fuse_opt_free_args(&list) }
            return pail_session_new(&list, &operations, user)
        }
        guard let pointer else { throw .options(options.mountOptions) }
        session = Handle(pointer: pointer)
        fileSystem.onInvalidate(Hook { notifier.post($0) })
    }

    deinit {
        // Mounted but never run. A mount that was taken over stays: libfuse knows no place to unmount.
        if case .mounted = phase.withLock({ $0 }) { fuse_session_unmount(session.pointer) }
        fuse_session_destroy(session.pointer)
    }

    /// Mounts on the directory `path` and agrees with the kernel on the protocol. Requests wait until `run`. Starts no
    /// thread and no task, so a process may still fork after it.
    public func mount(at path: String) throws(FuseError) {
        guard let resolved = realpath(path, nil) else { throw .mount(path: path, .current) }
        defer { free(resolved) }
        let point = MountPoint(path: String(cString: resolved))
        errno = 0
        guard fuse_session_mount(session.pointer, point.path) == 0 else {
            throw .mount(path: point.path, errno == 0 ? Errno(EPERM) : .current)
        }
        phase.withLock { $0 = .mounted(point) }
        let agreed = try handshake.perform()
        self.agreed.withLock { $0 = agreed }
        if agreed.passesThrough { passThrough() }
        log.debug("fuse", "mounted on \(point.path)")
    }

    /// Instead of `mount`: serves the mount of the former process from now on, beginning with what that one has not
    /// answered. Requests wait until `run`. Throws `notMounted` if it has been unmounted meanwhile.
    public func takeOver() throws(FuseError) {
        guard let former else { throw .notMounted }
        let point = MountPoint(path: former.mountPoint)
        // libfuse takes a descriptor for a place to mount on if it is called so.
        guard fuse_session_mount(session.pointer, "/dev/fd/\(former.device)") == 0 else {
            throw .mount(path: point.path, Errno(EBADF))
        }
        guard former.isConnected else { throw .notMounted }
        try handshake.replay(former.offer)
        agreed.withLock { $0 = (former.offer, former.passesThrough) }
        if former.passesThrough { passThrough() }
        do throws(Errno) { try former.resend() } catch { throw .handshake("resending: \(error)") }
        phase.withLock { $0 = .mounted(point) }
        log.debug("fuse", "took \(point.path) over")
    }

    /// What another process would need to take this mount over. The device remains this session's.
    public var kept: FormerSession? {
        guard case .mounted(let point) = phase.withLock({ $0 }) else { return nil }
        let agreed = agreed.withLock { $0 }
        return FormerSession(
            device: fuse_session_fd(session.pointer), offer: agreed.offer, mountPoint: point.path,
            passesThrough: agreed.passesThrough)
    }

    private var handshake: Handshake {
        Handshake(session: session.pointer, passthroughDepth: bridge.options.passthrough?.stackDepth, log: log)
    }

    /// Gives the file system the kernel's reading and writing by itself, as far as this process may have it.
    private func passThrough() {
        let device = BackingDevice(descriptor: fuse_session_fd(session.pointer))
        let isChosen = bridge.options.passthrough.map { device.isAllowed($0.trialFile) } ?? false
        bridge.fileSystem.passThrough(
            BackingFiles(isChosen: isChosen, open: { device.open($0) }, close: { device.close($0) }))
        passes.withLock { $0 = isChosen }
    }

    /// The kernel reads and writes files by itself where that can be had.
    public var passesThrough: Bool { passes.withLock { $0 } }

    /// Answers requests until the file system is unmounted, by `unmount` or by anybody else, or until `stop`. Returns
    /// when every request is answered.
    public func run() throws(FuseError) {
        guard case .mounted(let point) = phase.withLock({ $0 }) else { throw .notMounted }
        let notifying = try notifyingThread()
        let workers = try workerThreads()
        setReadAhead(point)
        ended.wait()
        bridge.stop()
        while finished.value < workers.count {
            for worker in workers { worker.wake() }
            usleep(Limits.endPollMicroseconds)
        }
        for worker in workers { worker.join() }
        if !bridge.parking.close() { log.warning("fuse", "requests to the bucket were still running at the end") }
        notifier.stop()
        notifying.wait(milliseconds: Limits.drainMilliseconds)
        phase.withLock { $0 = .ended }
        // Detaches what `stop` has left mounted.
        if former == nil {
            fuse_session_unmount(session.pointer)
        } else if FormerSession.isConnected(fuse_session_fd(session.pointer)) {
            try? point.detach(lazily: true)
        }
        log.debug("fuse", "unmounted from \(point.path)")
    }

    /// Takes the mount away, upon which `run` returns. Fails with `busy` if something is open in it, unless `lazily`.
    public func unmount(lazily: Bool = false) throws(FuseError) {
        guard case .mounted(let point) = phase.withLock({ $0 }) else { throw .notMounted }
        try point.detach(lazily: lazily)
    }

    /// Makes `run` end even if files are open, whose users get errors from then on.
    public func stop() {
        guard case .mounted(let point) = phase.withLock({ $0 }) else { return }
        bridge.stop()
        point.abort()
        ended.signal()
    }

    private func workerThreads() throws(FuseError) -> [KernelThread] {
        let device = fuse_session_fd(session.pointer)
        var threads: [KernelThread] = []
        do throws(Errno) {
            for _ in 0..<max(1, bridge.options.threads) {
                threads.append(
                    try KernelThread { [self] in
                        Worker().serve(session.pointer, device: device, bridge: bridge)
                        finished.add()
                        ended.signal()
                    })
            }
        } catch {
            // Fewer threads serve as well.
            if threads.isEmpty { throw .threads(error) }
            log.warning("fuse", "only \(threads.count) threads: \(error)")
        }
        return threads
    }

    /// Signalled when the notifier has stopped. While it runs it keeps this session.
    private func notifyingThread() throws(FuseError) -> Semaphore {
        let stopped = Semaphore()
        do throws(Errno) {
            let thread = try KernelThread { [self] in
                notifier.run(session.pointer)
                stopped.signal()
            }
            thread.detach()
        } catch {
            throw .threads(error)
        }
        return stopped
    }

    private func setReadAhead(_ point: MountPoint) {
        guard geteuid() == 0 else { return }
        do throws(Errno) {
            try point.setReadAhead(kibibytes: bridge.options.readAheadKiB)
        } catch {
            log.debug("fuse", "read-ahead stays at the kernel's default: \(error)")
        }
    }
}
