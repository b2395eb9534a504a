import Configuration
import Mounting

/// `pail flush`.
enum FlushCommand {
    static func run(_ arguments: [String]) throws -> ExitCode {
        let given = try ArgumentScanner(arguments, knowing: [.init("timeout", short: "t", takesValue: true)])
        guard given.operands.count <= 1 else { throw ConfigurationError("name one path, or none for all mounts") }
        let limit = try TimeLimit.parse(given.value("timeout"))
        let registry = try MountRegistry()
        guard let operand = given.operands.first else {
            for entry in registry.entries() { try flush(entry, path: "", limit) }
            return .ok
        }
        let path = Path.absolute(operand, from: ProcessEnvironment.workingDirectory)
        let resolved = MountPoint.resolved(path)
        guard let entry = registry.entry(containing: resolved) ?? registry.entry(containing: path) else {
            throw MountFailure(.mountPoint, "\(path) is in no mount of pail's; pail status lists them")
        }
        guard MountPoint.exists(path) else { throw MountFailure(.failed, "\(path) does not exist") }
        let whole = resolved.hasPrefix(entry.mountPoint) ? resolved : path
        try flush(entry, path: String(whole.dropFirst(entry.mountPoint.count).drop { $0 == "/" }), limit)
        return .ok
    }

    private static func flush(_ entry: MountRegistry.Entry, path: String, _ limit: Int64?) throws(MountFailure) {
        var line = ProgressLine()
        let client = ControlClient(cacheDirectory: entry.cacheDirectory)
        let failure = client.ask(
            .flush(path: path, timeoutMilliseconds: limit), silenceMilliseconds: UmountCommand.silenceMilliseconds
        ) { reply in
            if case .progress(let progress) = reply { line.show(progress) }
        }
        line.end()
        if let failure { throw failure }
    }
}
