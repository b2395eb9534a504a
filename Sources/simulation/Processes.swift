import Glibc

/// Several processes that share the seeds among them.
enum Processes {
    /// Returns whether all of them ended well.
    static func run(_ options: Options) -> Bool {
        let children = (0..<options.jobs).compactMap { start(options, share: UInt64($0)) }
        var isWell = children.count == options.jobs
        for child in children {
            var status: Int32 = 0
            while waitpid(child, &status, 0) == -1, errno == EINTR {}
            if status != 0 { isWell = false }
            if status & 0x7f != 0 {
                print("FAILED: crashed by signal \(status & 0x7f) at seed \(Session.lastSeed(of: child) ?? "?")")
            }
        }
        return isWell
    }

    private static func start(_ options: Options, share: UInt64) -> pid_t? {
        let jobs = UInt64(options.jobs)
        var arguments = [
            "simulation", "--first", "\(options.first + share)", "--step", "\(jobs)", "--seeds",
            "\(options.seeds - min(options.seeds, share))", "--failures", "\(options.failures)", "--shrink",
            "\(options.shrink)",
        ]
        if let minutes = options.minutes { arguments += ["--minutes", "\(minutes)"] }
        if let plant = options.plant { arguments += ["--plant", plant.rawValue] }
        var process = pid_t()
        var pointers = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        return posix_spawn(&process, "/proc/self/exe", nil, nil, &pointers, environ) == 0 ? process : nil
    }
}
