import Configuration
import Mounting
import Telemetry

/// `pail mount`.
enum MountCommand {
    static func run(_ arguments: [String]) async throws -> ExitCode {
        let given = try MountArguments(
            arguments, extra: [.init("foreground", short: "f")], directory: ProcessEnvironment.workingDirectory)
        if KeeperChannel.isInherited { return try await Daemon.run(given.configuration) }
        if given.has("foreground") { throw Keeper.become(arguments: arguments) }
        try startDaemon(given.configuration, arguments)
        return .ok
    }

    /// Runs the daemon with the same arguments in the background and returns when the mount answers.
    static func startDaemon(_ configuration: MountConfiguration, _ arguments: [String]) throws(MountFailure) {
        Signals.unblock()
        let cache = CacheDirectory(for: configuration)
        try cache.prepare()
        let notice = try Background.start(arguments: arguments, log: configuration.log.file ?? cache.log)
        if let notice { Terminal.printError("pail: \(notice)") }
    }
}

/// `mount.pail SPEC DIR [-sfnv] [-o options]`, as mount(8) calls it for a line in fstab.
enum MountHelper {
    static func run(_ arguments: [String]) async -> ExitCode {
        do {
            let helper: [ArgumentScanner.Option] = ["s", "f", "n", "v"].map { .init($0, short: Character($0)) }
            let types: [ArgumentScanner.Option] = [.init("t", short: "t", takesValue: true)]
            let directory = ProcessEnvironment.workingDirectory
            let given = try MountArguments(arguments, extra: helper + types, directory: directory)
            // -f of mount(8): everything but the mount itself.
            if given.has("f") { return .ok }
            let lists = given.values("o").flatMap { ["-o", $0] }
            try MountCommand.startDaemon(given.configuration, lists + ["--"] + given.operands)
            return .ok
        } catch let error as ConfigurationError {
            return Program.complain(error.description, .failed)
        } catch let error as MountFailure {
            return Program.complain(error.message, error.code)
        } catch {
            return Program.complain("\(error)", .failed)
        }
    }
}
