import Configuration
import FuseBridge
import Glibc
import Primitives
import Telemetry

/// One mount from start to end: everything in its order, so that a fault leaves nothing behind.
public final class Daemon: Sendable {
    /// What the daemon waits for.
    enum Event: Sendable {
        case signal(Int32)
        /// The kernel has let go of the file system.
        case unmounted
        /// What was left after unmounting is uploaded, or its time is over.
        case drained
        /// Another daemon wants the cache.
        case released
    }

    /// What a mount comes to.
    enum Mounted {
        /// Requests can be served.
        case serving
        /// It was unmounted while no daemon served it.
        case unmounted
    }

    struct State {
        var isUnmounted = false
        /// How long to go on uploading after the unmount; nil: until done.
        var drainMilliseconds: Int64? = Daemon.afterUnmountMilliseconds
        /// Commands that wait for the end.
        var watchers: [Hook<ControlReply, Bool>] = []
    }

    /// How long uploads go on after a plain umount(8).
    static let afterUnmountMilliseconds: Int64 = 3_600_000
    /// How long they go on when a signal says to end.
    private static let afterSignalMilliseconds: Int64 = 10_000
    /// A second signal says to end at once; one that comes so soon is the same, sent to keeper and daemon.
    private static let sameSignalMilliseconds: Int64 = 1_000
    /// For files that are still open then.
    private static let openFilesMilliseconds: Int64 = 2_000
    /// For other mount namespaces, after `pail umount`, to let go.
    static let otherNamespacesMilliseconds: Int64 = 3_000
    private static let answerMilliseconds: Int64 = 30_000
    private static let logLimitBytes: Int64 = 16 << 20

    let configuration: MountConfiguration
    private let place: Place
    var mountPoint: MountPoint { place.mountPoint }
    let directory: CacheDirectory
    let stack: Stack
    let session: FuseSession
    let log: Log
    let started = SystemTime().now()
    let state = Lock(State())
    let beginning: Beginning
    private let control = Lock(ControlServer?.none)
    private let registry: MountRegistry
    private let registration = Lock(Registration?.none)
    private let events: AsyncStream<Event>
    private let continuation: AsyncStream<Event>.Continuation

    /// Mounts, serves until unmounted or told to end, and returns the exit code.
    public static func run(_ configuration: MountConfiguration) async throws(MountFailure) -> ExitCode {
        let pipe = ReadyPipe.inherited()
        let beginning = Beginning.ofThisProcess()
        ProcessLimits.adjust()
        do throws(MountFailure) {
            let daemon = try await make(configuration, beginning)
            try await daemon.mount()
            pipe?.ready()
            await daemon.serve()
            return .ok
        } catch {
            guard let pipe else { throw error }
            pipe.failed(error)
            return error.code
        }
    }

    private static func make(
        _ configuration: MountConfiguration, _ beginning: Beginning
    ) async throws(MountFailure) -> Daemon {
        let directory = CacheDirectory(for: configuration)
        try directory.prepare()
        let place = try await Place.find(configuration, directory, kept: beginning.kept)
        let identity = try CacheIdentity.find(directory, for: configuration)
        try beginning.kept?.check(directory, identity)
        let log = Log(
            level: configuration.log.level.logLevel, sink: sink(configuration, directory, beginning.isInBackground))
        let backend = try Backend(configuration, cache: directory, log: log)
        do throws(MountFailure) {
            // A mount that is there goes on also without its bucket.
            if beginning.kept == nil { try await backend.check(configuration) }
            try identity.claim(directory)
            let marker = RunningMarker(directory: directory)
            let prior = marker.priorStop()
            if prior == .clean { try marker.begin() }
            let stack = try Stack(
                configuration, directory, identity, backend: backend, prior: prior, references: place.references,
                log: log)
            try marker.begin()
            return try Daemon(configuration, beginning, place, directory, stack, prior, log)
        } catch {
            backend.shutdown()
            throw error
        }
    }

    private static func sink(
        _ configuration: MountConfiguration, _ directory: CacheDirectory, _ inBackground: Bool
    ) -> LogSink {
        guard inBackground else { return .standardError }
        return .rotating(
            descriptor: STDERR_FILENO, path: configuration.log.file ?? directory.log, limitBytes: logLimitBytes)
    }

    private init(
        _ configuration: MountConfiguration, _ beginning: Beginning, _ place: Place, _ directory: CacheDirectory,
        _ stack: Stack, _ prior: PriorStop, _ log: Log
    ) throws(MountFailure) {
        self.configuration = configuration
        self.beginning = beginning
        self.place = place
        self.directory = directory
        self.stack = stack
        self.log = log
        registry = try MountRegistry()
        (events, continuation) = AsyncStream.makeStream(of: Event.self)
        do {
            session = try FuseSession(
                fileSystem: stack.fileSystem, options: Self.options(configuration), former: place.former, log: log)
        } catch {
            throw MountFailure(.mountPoint, "\(error)")
        }
        stack.start(prior: prior)
        if stack.recoveredFiles > 0 { log.info("mount", "carrying on with \(stack.recoveredFiles) files") }
    }

    private static func options(_ configuration: MountConfiguration) -> SessionOptions {
        var options = SessionOptions(source: configuration.bucket?.description ?? "pail")
        options.allowOther = configuration.allowOther
        options.readOnly = configuration.readOnly
        options.extra = configuration.kernelOptions
        return options
    }

    /// Mounts and returns when the mount answers.
    private func mount() async throws(MountFailure) {
        let server: ControlServer
        let mounted: Mounted
        do throws(MountFailure) {
            mounted = try mountSession()
            server = try ControlServer(directory, handler: self)
        } catch {
            await abandon()
            throw error
        }
        switch mounted {
        case .serving: runSession()
        case .unmounted: continuation.yield(.unmounted)
        }
        do throws(MountFailure) {
            if beginning.kept == nil { try await checkAnswer() }
            try register()
        } catch {
            server.close()
            await abandon()
            throw error
        }
        Signals.watch { [continuation] in continuation.yield(.signal($0)) }
        control.withLock { $0 = server }
        Task {
            await stack.backend.learnCapabilities(configuration, directory)
            await stack.backend.removeLeftovers(configuration, log: log)
        }
        // So that no other file system is kept busy.
        chdir("/")
        let how = beginning.kept == nil ? "mounted" : mounted == .serving ? "took over" : "found unmounted:"
        log.info("mount", "\(how) \(configuration.bucket?.description ?? "") on \(mountPoint.path)")
    }

    private func mountSession() throws(MountFailure) -> Mounted {
        do throws(FuseError) {
            if place.isGone { return .unmounted }
            if place.former != nil {
                do throws(FuseError) {
                    try session.takeOver()
                } catch .notMounted {
                    return .unmounted
                }
                return .serving
            }
            try session.mount(at: mountPoint.path)
        } catch {
            throw MountFailure(.mountPoint, "\(error)\(remedy)")
        }
        // With a new mount the kernel counts its requests anew.
        do {
            try stack.tree.forgetRequests()
        } catch {
            throw MountFailure(.cache, "cache directory \(directory.path): \(error)")
        }
        return .serving
    }

    private func runSession() {
        Threads.detach { [self] in
            do {
                try session.run()
            } catch {
                log.error("mount", "\(error)")
            }
            continuation.yield(.unmounted)
        }
    }

    /// Makes the mount known, and leaves with the keeper what the next daemon needs.
    private func register() throws(MountFailure) {
        let entry: Registration
        if let kept = beginning.kept {
            entry = Registration(path: kept.registrationPath, descriptor: kept.registration)
        } else {
            entry = try registry.add(
                mountPoint: mountPoint.path, cacheDirectory: directory.path, process: beginning.supervisor)
        }
        registration.withLock { $0 = entry }
        guard let keeper = beginning.keeper else { return }
        // One that was taken over is there already.
        guard place.former == nil, let session = session.kept else { return _ = keeper.send(Parcel()) }
        let kept = KeptMount(
            session: session, references: place.references.descriptor, cacheDirectory: directory.path,
            cacheID: stack.tree.cacheID, lock: place.lock.descriptor, registration: entry.descriptor,
            registrationPath: entry.path)
        if !keeper.send(kept.parcel) { log.warning("mount", "nobody keeps the mount: it ends with this process") }
    }

    /// What may be in the way of a mount that was refused.
    private var remedy: String {
        if let fault = FuseDevice.fault() { return ": \(fault.what): \(fault.remedy)" }
        if geteuid() == 0 { return "" }
        if configuration.allowOther { return ": /etc/fuse.conf must have the line user_allow_other" }
        return ": pail doctor says what is missing"
    }

    private func checkAnswer() async throws(MountFailure) {
        let path = mountPoint.path
        let code = await Threads.value(withinMilliseconds: Self.answerMilliseconds) { () -> Int32 in
            var status = stat()
            return stat(path, &status) == 0 ? 0 : errno
        }
        guard let code else {
            throw MountFailure(.failed, "\(path) is mounted, but doesn't answer; see \(directory.log)")
        }
        if code != 0 { throw MountFailure(.failed, "\(path) is mounted, but answers: \(Errno(code))") }
    }

    /// Undoes a start that went wrong.
    private func abandon() async {
        // A mount that was taken over is left to the next daemon.
        if place.former == nil {
            session.stop()
            _ = mountPoint.unmount(lazily: true)
        }
        await stack.close(log: log)
        RunningMarker(directory: directory).end()
    }

    func post(_ event: Event) { continuation.yield(event) }

    /// Waits for the end, and brings it about in order.
    private func serve() async {
        var drain: Task<Void, Never>?
        var signalled: Timestamp?
        loop: for await event in events {
            switch event {
            case .signal(let number):
                let now = SystemTime().monotonic()
                if let signalled, now.milliseconds(since: signalled) > Self.sameSignalMilliseconds { break loop }
                guard signalled == nil else { continue }
                signalled = now
                log.info("mount", "ending on signal \(number)")
                state.withLock { $0.drainMilliseconds = Self.afterSignalMilliseconds }
                if drain != nil { break loop }
                _ = mountPoint.unmount(lazily: true)
                endSession(afterMilliseconds: Self.openFilesMilliseconds)
            case .unmounted:
                let limit = state.withLock { state -> Int64? in
                    state.isUnmounted = true
                    return state.drainMilliseconds
                }
                drain = Task {
                    _ = await Drain(stack: stack).run(limitMilliseconds: limit) { self.tell($0) }
                    post(.drained)
                }
            case .drained: break loop
            case .released: if drain != nil { break loop }
            }
        }
        drain?.cancel()
        await finish()
    }

    /// Ends the session although files are open.
    func endSession(afterMilliseconds delay: Int64) {
        Task {
            await SystemTime().sleep(milliseconds: delay)
            if !state.withLock({ $0.isUnmounted }) { session.stop() }
        }
    }

    /// Passes progress on to who waits for the end.
    private func tell(_ progress: Progress) -> Bool {
        for watcher in state.withLock({ $0.watchers }) { _ = watcher.call(.progress(progress)) }
        return true
    }

    private func finish() async {
        control.withLock { $0 }?.close()
        let left = stack.progress()
        await stack.close(log: log)
        RunningMarker(directory: directory).end()
        registration.withLock { $0 }?.end()
        log.info("mount", left.files == 0 ? "ended, all uploaded" : "ended, \(left.files) files to be carried on")
        let reply: ControlReply = left.files == 0 ? .done : .failed(.incomplete, Self.carriedOn(left, mountPoint.path))
        for watcher in state.withLock({ $0.watchers }) { _ = watcher.call(reply) }
    }

    private static func carriedOn(_ left: Progress, _ path: String) -> String {
        "\(path) is unmounted; \(describe(left)) not in the bucket yet: kept in the cache directory, "
            + "the next mount carries on"
    }

    /// `3 files (1.5 MiB) are`
    static func describe(_ left: Progress) -> String {
        "\(left.files) \(left.files == 1 ? "file" : "files") (\(Quantity.describe(bytes: left.bytes))) "
            + (left.files == 1 ? "is" : "are")
    }
}

extension MountConfiguration.Verbosity {
    var logLevel: LogLevel {
        switch self {
        case .debug: .debug
        case .info: .info
        case .warning: .warning
        case .error: .error
        }
    }
}
