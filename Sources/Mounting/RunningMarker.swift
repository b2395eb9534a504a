import Glibc
import Primitives

/// How the last daemon on a cache directory ended.
enum PriorStop: Sendable, Equatable {
    /// It said goodbye, or there was none.
    case clean
    /// It died, but what it had written to files is in them: the machine has run on.
    case killed
    /// The machine went down: only what was synced is certain.
    case powerLost
}

/// The file that exists while a daemon runs: which boot of the machine it began in.
struct RunningMarker: Sendable {
    let directory: CacheDirectory

    /// How the last daemon ended. Hold the cache's lock.
    func priorStop() -> PriorStop {
        guard Directory.exists(directory.runningFile) else { return .clean }
        let former = SmallFile.read(directory.runningFile) ?? ""
        return SmallFile.field("boot", in: former) == Self.bootIdentity ? .killed : .powerLost
    }

    /// Marks that a daemon runs. After a daemon that died, only once what it left is recovered.
    func begin() throws(MountFailure) {
        do {
            try SmallFile.write("boot \(Self.bootIdentity)\n", to: directory.runningFile)
        } catch {
            throw directory.failure("can't be written", error)
        }
    }

    /// All is closed and on disk.
    func end() { unlink(directory.runningFile) }

    private static var bootIdentity: String {
        let text = SmallFile.read("/proc/sys/kernel/random/boot_id") ?? ""
        return String(text.prefix { !$0.isNewline })
    }
}
