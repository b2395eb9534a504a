import CSystem
import Glibc
import Primitives

/// Other programs.
enum Command {
    struct Result: Sendable {
        var status: Int32
        /// The last line of stderr.
        var errors: String
    }

    /// Runs a program found by PATH and waits for it; nil if it can't be run. Its input and output are /dev/null.
    static func run(_ program: String, _ arguments: [String]) -> Result? {
        guard let pipe = Pipe() else { return nil }
        defer { close(pipe.output) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, pipe.input, STDERR_FILENO)
        var process = pid_t()
        let code = withCStrings([program] + arguments) { posix_spawnp(&process, program, &actions, nil, $0, environ) }
        close(pipe.input)
        guard code == 0 else { return nil }
        let errors = readAll(pipe.output)
        var status: Int32 = 0
        while waitpid(process, &status, 0) == -1, errno == EINTR {}
        let line = errors.split(separator: "\n").last.map(String.init) ?? ""
        return Result(status: Process.exitCode(status), errors: line)
    }

    private static func readAll(_ descriptor: Int32) -> String {
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while text.count < 64 << 10 {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            text += buffer[..<count]
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// `body` with the strings as C wants them, NULL-terminated.
    static func withCStrings<Result>(
        _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers = strings.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        return pointers.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
    }
}

/// A pipe whose descriptors are not inherited.
struct Pipe {
    /// To read from.
    let output: Int32
    /// To write to.
    let input: Int32

    init?() {
        var descriptors: [Int32] = [-1, -1]
        guard pipe(&descriptors) == 0 else { return nil }
        for descriptor in descriptors { _ = pail_fcntl(descriptor, F_SETFD, Int(FD_CLOEXEC)) }
        output = descriptors[0]
        input = descriptors[1]
    }
}

/// What waitpid(2) says about how a process ended.
enum Process {
    /// The exit code, or 128 and the signal's number, as a shell says it.
    static func exitCode(_ status: Int32) -> Int32 {
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : 128 + signal
    }
}
