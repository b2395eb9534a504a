import CSystem
import Glibc

/// Whether a signal is a reason to give up a request.
///
/// The kernel interrupts requests for every signal, those that a language runtime or a progress meter sends itself
/// (SIGURG, SIGALRM) too, and few programs expect EINTR from a file. So only what a user or the system sends to end
/// a process counts: see `Linux/Documentation/filesystems/fuse`, "Interrupting filesystem operations".
enum Interruption {
    private static let ending: UInt64 = [SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGTERM].reduce(0) {
        $0 | 1 << UInt64($1 - 1)
    }

    /// True if `process` (a thread's number) has such a signal pending, or is gone or out of sight.
    static func isWanted(by process: Int32) -> Bool {
        let descriptor = pail_open("/proc/\(process)/status", O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { return true }
        defer { close(descriptor) }
        let text = [UInt8](unsafeUninitializedCapacity: 8192) { buffer, count in
            count = max(0, read(descriptor, buffer.baseAddress, buffer.count))
        }
        return pending(in: String(decoding: text, as: UTF8.self)) & ending != 0
    }

    /// The signals pending for a thread and its process, by /proc/PID/status (proc(5)): signal n is bit n - 1.
    static func pending(in status: String) -> UInt64 {
        var signals: UInt64 = 0
        for line in status.split(separator: "\n") where line.hasPrefix("SigPnd:") || line.hasPrefix("ShdPnd:") {
            signals |= UInt64(line.dropFirst(7).drop { $0 == "\t" || $0 == " " }, radix: 16) ?? 0
        }
        return signals
    }
}
