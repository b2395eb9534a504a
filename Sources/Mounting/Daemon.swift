import BlockCache
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
    private static let logLimitBytes: Int64 = 16 << 20

    let configuration: MountConfiguration
    let place: Place
    var mountPoint: MountPoint { place.mountPoint }
    let directory: CacheDirectory
    let stack: Stack
    let session: FuseSession
    let log: Log
    /// What who mounts should know.
    private let notice: String?
    let started = SystemTime().now()
    let state = Lock(State())
    let beginning: Beginning
    let control = Lock(ControlServer?.none)
    let registry: MountRegistry
    let registration = Lock(Registration?.none)
    private let events: AsyncStream<Event>
    let continuation: AsyncStream<Event>.Continuation

    /// Mounts, serves until unmounted or told to end, and returns the exit code.
    public static func run(_ configuration: MountConfiguration) async throws(MountFailure) -> ExitCode {
        let pipe = ReadyPipe.inherited()
        let beginning = Beginning.ofThisProcess()
        ProcessLimits.adjust()
        do throws(MountFailure) {
            let daemon = try await make(configuration, beginning)
            try await daemon.mount()
            pipe?.ready(notice: daemon.notice)
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
        // Refuses what is another bucket's or another version's before the bucket is asked.
        let identity = try CacheIdentity.find(directory, for: configuration)
        try beginning.kept?.check(directory, identity)
        let log = Log(
            level: configuration.log.level.logLevel, sink: sink(configuration, directory, beginning.isInBackground))
        let backend = try Backend(configuration, cache: directory, log: log)
        do throws(MountFailure) {
            // A mount that is there goes on also without its bucket.
            if beginning.kept == nil { try await backend.check(configuration) }
            let start = try CacheStart(directory, for: configuration, log: log)
            try beginning.kept?.check(directory, start.identity)
            let stack = try Stack(
                configuration, directory, start.identity, backend: backend, prior: start.prior,
                references: place.references, log: log)
            try RunningMarker(directory: directory).begin()
            return try Daemon(configuration, beginning, place, directory, stack, start, log)
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
        _ stack: Stack, _ start: CacheStart, _ log: Log
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
                fileSystem: stack.fileSystem, options: Self.options(configuration, directory, stack.disk),
                former: place.former, log: log)
        } catch {
            throw MountFailure(.mountPoint, "\(error)")
        }
        notice = start.notice ?? stack.notice
        stack.start(prior: start.prior)
        let changed = stack.recovered.changedFiles
        if changed > 0 { log.info("mount", "carrying on with \(changed) files") }
    }

    private static func options(
        _ configuration: MountConfiguration, _ directory: CacheDirectory, _ disk: ContentDisk
    ) -> SessionOptions {
        var options = SessionOptions(source: configuration.bucket?.description ?? "pail")
        options.allowOther = configuration.allowOther
        options.readOnly = configuration.readOnly
        options.extra = configuration.kernelOptions
        if configuration.passthrough, disk.isFitForPassthrough {
            options.passthrough = .init(stackDepth: disk.stackDepth, trialFile: directory.identityFile)
        }
        return options
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

    /// Ends the session, if it hasn't ended by itself until then, although files are open.
    func endSession(afterMilliseconds delay: Int64, warning: String? = nil) {
        Task {
            await SystemTime().sleep(milliseconds: delay)
            if state.withLock({ $0.isUnmounted }) { return }
            if let warning { log.warning("mount", warning) }
            session.stop()
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
        await stack.close()
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
