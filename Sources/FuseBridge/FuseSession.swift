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

    /// libfuse's session, which is safe to use from any thread.
    private struct Handle: @unchecked Sendable { let pointer: OpaquePointer }

    public init(fileSystem: FileSystem, options: SessionOptions, log: Log) throws(FuseError) {
        self.log = log
        LibraryLog.use(log)
        bridge = Bridge(fileSystem: fileSystem, options: options, log: log)
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
        // Mounted but never run.
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
        try Handshake(session: session.pointer, log: log).perform()
        log.debug("fuse", "mounted on \(point.path)")
    }

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
        fuse_session_unmount(session.pointer)
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
