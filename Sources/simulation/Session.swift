import CSimulation
import Glibc
import Primitives

/// Runs seeds one after the other, in a directory of its own in memory.
final class Session {
    private static let base = "/dev/shm/pail-simulation-"
    private let disk: Disk
    private let plant: Plant?
    private(set) var runs = 0
    private(set) var deaths = 0
    private(set) var failures = 0

    init(plant: Plant?) {
        self.plant = plant
        Session.removeAbandoned()
        let root = Session.base + "\(getpid())"
        mkdir(root, 0o700)
        mkdir(root + "/content", 0o700)
        for shard in 0..<256 {
            mkdir(root + "/content/" + (shard < 16 ? "0" : "") + String(shard, radix: 16), 0o700)
        }
        disk = Disk(root: root)
    }

    /// Removes the directory.
    func close() {
        disk.clear()
        Session.remove(disk.root)
    }

    private static func remove(_ directory: String) {
        for name in names(in: directory) {
            let path = directory + "/" + name
            if unlink(path) != 0 { remove(path) }
        }
        rmdir(directory)
    }

    /// What processes left that didn't come to their end.
    private static func removeAbandoned() {
        for name in names(in: "/dev/shm") where name.hasPrefix("pail-simulation-") {
            guard let process = pid_t(name.dropFirst("pail-simulation-".count)), kill(process, 0) != 0 else { continue }
            remove("/dev/shm/" + name)
        }
    }

    private static func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    // MARK: runs

    /// Runs the seeds that the options name. Returns false if a promise was broken.
    func run(_ options: Options) -> Bool {
        let clock = SystemTime()
        let began = clock.monotonic()
        let limit = options.minutes.map { Int64($0 * 60_000) } ?? .max
        var seed = options.first
        while seed < options.first + options.seeds, failures < options.failures {
            if clock.monotonic().milliseconds(since: began) > limit { break }
            note(seed)
            check(Plan(seed: seed), options)
            seed += options.step
        }
        return failures == 0
    }

    /// Runs one seed and prints all that happens.
    func show(_ seed: UInt64) -> Bool {
        let (error, run) = attempt(Plan(seed: seed), isTraced: true)
        printTrace(run)
        print("seed \(seed): \(error.map { "FAILED: \($0)" } ?? "no promise was broken") digest \(run.world.digest)")
        return error == nil
    }

    private func check(_ plan: Plan, _ options: Options) {
        let (error, _) = attempt(plan)
        guard let error else { return }
        failures += 1
        print("FAILED: seed \(plan.seed): \(error)")
        if options.shrink > 0 { showShrunk(plan, trials: options.shrink) }
        fflush(nil)
    }

    private func showShrunk(_ plan: Plan, trials: Int) {
        var shrinker = Shrinker(fails: { self.attempt($0).error != nil }, budget: trials)
        let least = shrinker.shrink(plan)
        let (error, run) = attempt(least, isTraced: true)
        print("shrunk to \(least.steps.count) of \(plan.steps.count) steps, conditions: \(least.conditions)")
        printTrace(run)
        print("  \(error.map { "\($0)" } ?? "it didn't fail again")")
    }

    private func printTrace(_ run: Run) {
        for line in run.world.lines { print("  " + line) }
    }

    private func attempt(_ plan: Plan, isTraced: Bool = false) -> (error: (any Error)?, run: Run) {
        let run = Run(plan, disk: disk, plant: plant, isTraced: isTraced)
        defer {
            runs += 1
            deaths += run.deaths
        }
        do {
            try run.run()
            return (nil, run)
        } catch { return (error, run) }
    }

    /// Where whoever waits for this process finds which seed it was at when it crashed.
    private func note(_ seed: UInt64) {
        let descriptor = creat(disk.root + "/seed", 0o600)
        guard descriptor >= 0 else { return }
        let text = Array("\(seed)\n".utf8)
        pwrite(descriptor, text, text.count, 0)
        Glibc.close(descriptor)
    }

    /// The seed at which another process was.
    static func lastSeed(of process: pid_t) -> String? {
        guard let file = fopen(base + "\(process)/seed", "r") else { return nil }
        defer { fclose(file) }
        var seed: UInt64 = 0
        return withUnsafeMutablePointer(to: &seed) { pointer in
            withVaList([pointer]) { vfscanf(file, "%lu", $0) }
        } == 1 ? "\(seed)" : nil
    }
}
