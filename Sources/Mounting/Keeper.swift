import CSystem
import Glibc
import Primitives
import Telemetry

/// The process that `pail mount` leaves: it starts the daemon, keeps the mount's device open, and starts the daemon
/// again when it has died. Programs that use the mount then wait a moment instead of getting errors.
///
/// It does nothing else, so that it has no reason to die itself: one thread, no task, no secret, little memory.
public struct Keeper {
    /// The hidden command by which the program becomes one: `pail keep LOG ARGUMENTS`, those of `pail mount`. `-` as
    /// LOG: stderr stays what it is.
    public static let command = "keep"
    private static let channelDescriptor: Int32 = 4

    private let logPath: String?
    private let arguments: [String]
    private let directory: String
    private let log = Log(sink: .standardError)
    private let signals: Int32
    private var policy = RestartPolicy()
    /// What the daemon has left here.
    private var kept: Parcel?
    /// It was asked to end.
    private var isEnding = false

    /// Becomes a keeper that stays in the foreground. Returns only if that fails.
    public static func become(arguments: [String]) -> MountFailure {
        _ = Command.withCStrings(["pail", command, "-"] + arguments) { execv("/proc/self/exe", $0) }
        return MountFailure(.failed, "can't start \(MountPoint.resolved("/proc/self/exe")): \(Errno.current)")
    }

    /// To be called before anything else in the process. `arguments`: what comes after the command.
    public static func run(_ arguments: [String]) -> Never {
        // Its environment may hold the credentials that the daemon needs.
        ProcessLimits.adjust()
        guard let log = arguments.first, var keeper = Keeper(log: log, Array(arguments.dropFirst())) else { exit(1) }
        exit(keeper.keep())
    }

    private init?(log: String, _ arguments: [String]) {
        logPath = log == "-" ? nil : log
        self.arguments = arguments
        var set = Signals.endingSet()
        sigaddset(&set, SIGCHLD)
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signals = pail_signal_descriptor(&set)
        guard signals >= 0, let path = getcwd(nil, 0) else { return nil }
        defer { free(path) }
        directory = String(cString: path)
        // So that no file system is kept busy.
        chdir("/")
    }

    /// Keeps a daemon running until it ends as it should or can't be kept. Returns the exit code.
    private mutating func keep() -> Int32 {
        while true {
            guard let daemon = Child(self) else { return giveUp("can't start the daemon: \(Errno.current)", 1) }
            let (status, served) = watch(daemon)
            daemon.channel.close()
            let code = Process.exitCode(status)
            if kept == nil || status == 0 { return code }
            let how = code > 128 ? "was killed by signal \(code - 128)" : "has ended with code \(code)"
            if isEnding { return giveUp("the daemon \(how) while it was to end", code) }
            guard let delay = policy.delayMilliseconds(afterServing: served) else {
                return giveUp("the daemon \(how), too often in too short a time", code)
            }
            reopenLog()
            log.warning("keeper", "the daemon \(how): starting it again (\(policy.restarts))")
            if delay > 0, pause(milliseconds: delay) {
                return giveUp("the daemon \(how), and no other is wanted", code)
            }
        }
    }

    /// Serves a daemon until it has ended: how (waitpid(2)), and how long it had served.
    private mutating func watch(_ daemon: Child) -> (status: Int32, servedMilliseconds: Int64) {
        let time = SystemTime()
        var begin = Timestamp?.none
        var watched = [
            pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
            pollfd(fd: daemon.channel.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        ResidentMemory.releaseFilePages()
        while true {
            poll(&watched, nfds_t(watched.count), -1)
            if watched[1].revents != 0 {
                if let parcel = daemon.channel.receive() {
                    begin = time.monotonic()
                    if !parcel.descriptors.isEmpty {
                        kept?.close()
                        kept = parcel
                    }
                } else {
                    watched[1].fd = -1
                }
            }
            for signal in takeSignals() where signal != SIGCHLD {
                isEnding = true
                kill(daemon.process, signal)
            }
            var status: Int32 = 0
            if waitpid(daemon.process, &status, WNOHANG) == daemon.process {
                return (status, begin.map { time.monotonic().milliseconds(since: $0) } ?? 0)
            }
        }
    }

    /// The signals that came.
    private func takeSignals() -> [Int32] {
        // struct signalfd_siginfo has 128 bytes, the signal's number first.
        var information = [UInt32](repeating: 0, count: 32)
        var numbers: [Int32] = []
        while read(signals, &information, 128) == 128 { numbers.append(Int32(information[0])) }
        return numbers
    }

    /// True if the process is to end meanwhile.
    private mutating func pause(milliseconds: Int64) -> Bool {
        var watched = pollfd(fd: signals, events: Int16(POLLIN), revents: 0)
        poll(&watched, 1, Int32(milliseconds))
        return takeSignals().contains { $0 != SIGCHLD }
    }

    /// Takes the mount away: what waits in it gets errors when the device is closed, with this process.
    private func giveUp(_ reason: String, _ code: Int32) -> Int32 {
        reopenLog()
        log.error("keeper", reason)
        if let kept, let path = KeptMount.mountPoint(kept.text) { _ = MountPoint(path).unmount(lazily: true) }
        return code == 0 ? 1 : code
    }

    /// The daemon may have renamed the file that stderr is.
    private func reopenLog() {
        guard let logPath else { return }
        let descriptor = pail_open(logPath, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        dup2(descriptor, STDERR_FILENO)
        close(descriptor)
    }
}

extension Keeper {
    /// A daemon that was started.
    private struct Child {
        let process: pid_t
        let channel: KeeperChannel

        init?(_ keeper: Keeper) {
            guard let (near, far) = KeeperChannel.pair() else { return nil }
            defer { far.close() }
            guard let process = keeper.spawn(far) else {
                near.close()
                return nil
            }
            self.process = process
            channel = near
            near.send(
                Beginning.greeting(
                    isInBackground: keeper.logPath != nil, restarts: keeper.policy.restarts, kept: keeper.kept))
        }
    }

    private func spawn(_ channel: KeeperChannel) -> pid_t? {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, channel.descriptor, Self.channelDescriptor)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var mask = Signals.endingSet()
        posix_spawnattr_setsigmask(&attributes, &mask)
        // POSIX_SPAWN_SETPGROUP and _SETSIGMASK. A signal from the terminal comes to the keeper alone, which passes it on.
        posix_spawnattr_setflags(&attributes, 0x02 | 0x08)
        setenv(KeeperChannel.variable, "\(Self.channelDescriptor)", 1)
        defer { unsetenv(KeeperChannel.variable) }
        // The arguments may name paths relative to it. If it has been removed since, those are gone, too.
        chdir(directory)
        defer { chdir("/") }
        var process = pid_t()
        // Only the first daemon has somebody to tell that it is ready.
        let code = ReadyPipe.handingOn(&actions) { actions in
            Command.withCStrings(["pail", "mount", "--foreground"] + arguments) {
                posix_spawn(&process, MountPoint.resolved("/proc/self/exe"), &actions, &attributes, $0, environ)
            }
        }
        errno = code
        return code == 0 ? process : nil
    }
}
