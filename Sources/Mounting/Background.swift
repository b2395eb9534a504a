import CSystem
import Configuration
import Glibc
import Primitives

/// How a daemon tells who started it that the mount answers, or why it doesn't.
public struct ReadyPipe: Sendable {
    static let variable = "PAIL_READY_FD"
    /// The number that it has in the process that is to get ready.
    private static let passedDescriptor: Int32 = 3

    private let descriptor: Int32

    /// The pipe that this process was started with; nil in the foreground. To be asked for once.
    public static func inherited() -> ReadyPipe? {
        guard let text = ProcessEnvironment.value(variable), let descriptor = Int32(text) else { return nil }
        unsetenv(variable)
        guard pail_fcntl(descriptor, F_SETFD, Int(FD_CLOEXEC)) == 0 else { return nil }
        return ReadyPipe(descriptor: descriptor)
    }

    /// Has `actions` give the pipe to a process that is to be started. For as long as this process has the variable.
    static func pass(_ descriptor: Int32, _ actions: inout posix_spawn_file_actions_t) {
        posix_spawn_file_actions_adddup2(&actions, descriptor, passedDescriptor)
        setenv(variable, "\(passedDescriptor)", 1)
    }

    /// Leaves the pipe to the process that `body` starts.
    static func handingOn<Result>(
        _ actions: inout posix_spawn_file_actions_t, _ body: (inout posix_spawn_file_actions_t) -> Result
    ) -> Result {
        let pipe = inherited()
        defer { if let pipe { close(pipe.descriptor) } }
        if let pipe { pass(pipe.descriptor, &actions) }
        defer { unsetenv(variable) }
        return body(&actions)
    }

    /// - Parameter notice: one line for who mounts.
    func ready(notice: String?) { send("ready\(notice.map { " " + LineText.escape($0) } ?? "")\n") }
    public func failed(_ failure: MountFailure) { send("failed \(failure.code.rawValue) \(failure.message)\n") }

    private func send(_ line: String) {
        let bytes = Array(line.utf8)
        _ = write(descriptor, bytes, bytes.count)
        close(descriptor)
    }
}

/// Starts the daemon in the background: its keeper, in a session of its own.
public enum Background {
    /// Everything that the daemon waits for before it is ready is bounded itself; this is for what nobody thought of.
    private static let readyMilliseconds: Int64 = 300_000

    /// Keeps a daemon with these arguments of `pail mount` and returns when the mount answers; then with what the user
    /// should know, if there is something. `log` is where stderr goes.
    public static func start(arguments: [String], log: String) throws(MountFailure) -> String? {
        let logDescriptor = pail_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard logDescriptor >= 0 else { throw MountFailure(.failed, "can't write the log \(log): \(Errno.current)") }
        defer { close(logDescriptor) }
        guard let pipe = Pipe() else { throw MountFailure(.failed, "can't make a pipe: \(Errno.current)") }
        defer { close(pipe.output) }
        let spawned = spawn([Keeper.command, log] + arguments, log: logDescriptor, pipe: pipe.input)
        close(pipe.input)
        guard let process = spawned else { throw MountFailure(.failed, "can't start the daemon: \(Errno.current)") }
        guard let line = readLine(pipe.output) else {
            kill(process, SIGTERM)
            throw MountFailure(.failed, "the daemon didn't get ready in \(readyMilliseconds / 1000) s; see \(log)")
        }
        if line == "ready" { return nil }
        if line.hasPrefix("ready ") { return LineText.unescape(String(line.dropFirst(6))) }
        let words = line.split(separator: " ", maxSplits: 2).map(String.init)
        if words.count == 3, words[0] == "failed", let code = Int32(words[1]).flatMap(ExitCode.init) {
            throw MountFailure(code, words[2])
        }
        throw diedEarly(process, log)
    }

    private static func spawn(_ arguments: [String], log: Int32, pipe: Int32) -> pid_t? {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, log, STDERR_FILENO)
        ReadyPipe.pass(pipe, &actions)
        defer { unsetenv(ReadyPipe.variable) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // POSIX_SPAWN_SETSID (glibc 2.26).
        posix_spawnattr_setflags(&attributes, 0x80)
        var process = pid_t()
        let code = Command.withCStrings(["pail"] + arguments) {
            // By its own path, so that ps shows its name.
            posix_spawn(&process, MountPoint.resolved("/proc/self/exe"), &actions, &attributes, $0, environ)
        }
        errno = code
        return code == 0 ? process : nil
    }

    /// The line, empty if the pipe was closed without one, nil if it takes too long.
    private static func readLine(_ descriptor: Int32) -> String? {
        let time = SystemTime()
        let begin = time.monotonic()
        var line: [UInt8] = []
        while line.last != 10, line.count < 64 << 10 {
            let left = readyMilliseconds - time.monotonic().milliseconds(since: begin)
            guard left > 0 else { return nil }
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&entry, 1, Int32(left)) > 0 else { continue }
            var byte: UInt8 = 0
            let count = read(descriptor, &byte, 1)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return "" }
            line.append(byte)
        }
        return String(decoding: line.dropLast(), as: UTF8.self)
    }

    private static func diedEarly(_ process: pid_t, _ log: String) -> MountFailure {
        var status: Int32 = 0
        while waitpid(process, &status, 0) == -1, errno == EINTR {}
        let last = SmallFile.lastLine(log).map { ": \($0)" } ?? ""
        return MountFailure(
            .failed, "the daemon died before it was ready (code \(Process.exitCode(status))); last in \(log)\(last)")
    }
}
