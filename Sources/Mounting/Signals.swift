import Glibc
import Primitives

/// The signals that ask a process to end.
public enum Signals {
    private static let ending = [SIGTERM, SIGINT, SIGHUP]

    /// Holds them back in this thread and in those that it starts. A write to a closed pipe fails instead of killing.
    public static func block() {
        var set = endingSet()
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Lets them end this process, as is usual.
    public static func unblock() {
        var set = endingSet()
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }

    /// Calls `body` for each that comes, on a thread of its own, until the process ends.
    static func watch(_ body: @escaping @Sendable (Int32) -> Void) {
        Threads.detach {
            var set = endingSet()
            while true {
                var number: Int32 = 0
                if sigwait(&set, &number) == 0 { body(number) }
            }
        }
    }

    static func endingSet() -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in ending { sigaddset(&set, signal) }
        return set
    }
}

/// What this process may use.
enum ProcessLimits {
    /// As many open files as allowed: each cached file in use is one. No core dumps: they would hold secrets. SIGIO, by
    /// which the kernel tells of somebody who opens a file that is being looked at, means nothing.
    static func adjust() {
        signal(SIGIO, SIG_IGN)
        var files = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files) == 0 {
            files.rlim_cur = files.rlim_max
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
        }
        var core = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &core)
    }
}
