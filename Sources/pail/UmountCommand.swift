import Configuration
import Mounting

/// `pail umount`.
enum UmountCommand {
    /// The daemon speaks up more often than this; a dead one is noticed after it.
    static let silenceMilliseconds: Int64 = 120_000
    private static let endMilliseconds: Int64 = 30_000

    static func run(_ arguments: [String]) throws -> ExitCode {
        let given = try ArgumentScanner(
            arguments, knowing: [.init("timeout", short: "t", takesValue: true), .init("force", short: "f")])
        guard given.operands.count == 1 else { throw ConfigurationError("name one mount point: pail umount DIR") }
        let limit = try TimeLimit.parse(given.value("timeout"))
        let path = Path.absolute(given.operands[0], from: ProcessEnvironment.workingDirectory)
        guard let entry = try Mounts.entry(at: path) else {
            try Mounts.unmountOrphan(path)
            return .ok
        }
        return try unmount(entry, limit, forced: given.has("force"))
    }

    private static func unmount(_ entry: MountRegistry.Entry, _ limit: Int64?, forced: Bool) throws -> ExitCode {
        let client = ControlClient(cacheDirectory: entry.cacheDirectory)
        var line = ProgressLine()
        let failure = client.ask(
            .stop(timeoutMilliseconds: limit, forced: forced), silenceMilliseconds: silenceMilliseconds
        ) { reply in
            if case .progress(let progress) = reply { line.show(progress) }
        }
        line.end()
        if let failure, !(forced && failure.code == .incomplete) { throw failure }
        guard client.waitForEnd(milliseconds: endMilliseconds) else {
            throw MountFailure(
                .failed, "\(entry.mountPoint) is unmounted, but its daemon (pid \(entry.process)) lives on")
        }
        if let failure { throw failure }
        return .ok
    }
}

/// `--timeout`: seconds, or a time with a unit.
enum TimeLimit {
    static func parse(_ text: String?) throws(ConfigurationError) -> Int64? {
        guard let text else { return nil }
        if let seconds = Int64(text), seconds >= 0, seconds < 1 << 40 { return seconds * 1000 }
        guard let milliseconds = Quantity.milliseconds(text) else {
            throw ConfigurationError("--timeout: \(text) is not a number of seconds nor a time such as 1m")
        }
        return milliseconds
    }
}

/// The mounts as commands look for them.
enum Mounts {
    /// The daemon of the mount at exactly this path, as given or with its links resolved.
    static func entry(at path: String) throws(MountFailure) -> MountRegistry.Entry? {
        let entries = try MountRegistry().entries()
        if let entry = entries.first(where: { $0.mountPoint == path }) { return entry }
        let resolved = MountPoint.resolved(path)
        return entries.first { $0.mountPoint == resolved }
    }

    /// A mount whose daemon has died, or is unknown here.
    static func unmountOrphan(_ path: String) throws(MountFailure) {
        guard try MountPoint(path).unmountOrphan() else {
            throw MountFailure(.mountPoint, "\(path) is no mount of pail's; pail status lists them")
        }
    }
}
