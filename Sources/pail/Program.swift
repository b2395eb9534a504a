import Configuration
import Glibc
import Mounting
import Telemetry

/// The command line: finds the command, runs it, says what went wrong.
enum Program {
    /// A command of `pail`.
    enum Name: String, CaseIterable {
        case mount, umount, flush, status, doctor, cache, version, help
    }

    static func run(_ arguments: [String]) async -> ExitCode {
        let called = arguments.first?.split(separator: "/").last ?? "pail"
        if called == "mount.pail" || called == "mount.fuse.pail" {
            return await MountHelper.run(Array(arguments.dropFirst()))
        }
        guard arguments.count > 1 else {
            Terminal.print(Help.overview)
            return .usage
        }
        var rest = Array(arguments.dropFirst(2))
        switch arguments[1] {
        case "-h", "--help": return await run(.help, [])
        case "-V", "--version": return await run(.version, [])
        case "unmount": return await run(.umount, rest)
        default: break
        }
        guard let name = Name(rawValue: arguments[1]) else {
            let hint = Help.suggestion(for: arguments[1])
            return complain("unknown command \(arguments[1])\(hint); see pail help", .usage)
        }
        if name != .help, rest.contains(where: { $0 == "--help" || $0 == "-h" }) {
            rest = [name.rawValue]
            return await run(.help, rest)
        }
        return await run(name, rest)
    }

    private static func run(_ name: Name, _ arguments: [String]) async -> ExitCode {
        do {
            // The daemon is the one that ends in its own way.
            if name != .mount { Signals.unblock() }
            switch name {
            case .mount: return try await MountCommand.run(arguments)
            case .umount: return try UmountCommand.run(arguments)
            case .flush: return try FlushCommand.run(arguments)
            case .status: return try StatusCommand.run(arguments)
            case .doctor: return try await DoctorCommand.run(arguments)
            case .cache: return try CacheCommand.run(arguments)
            case .version: Terminal.print("pail \(Version.current)")
            case .help: return help(arguments)
            }
            return .ok
        } catch let error as ConfigurationError {
            return complain(error.description, .usage)
        } catch let error as MountFailure {
            return complain(error.message, error.code)
        } catch {
            return complain("\(error)", .failed)
        }
    }

    private static func help(_ arguments: [String]) -> ExitCode {
        guard let first = arguments.first else {
            Terminal.print(Help.overview)
            return .ok
        }
        guard let name = Name(rawValue: first) else {
            return complain("no help on \(first)\(Help.suggestion(for: first))", .usage)
        }
        Terminal.print(Help.text(of: name))
        return .ok
    }

    static func complain(_ message: String, _ code: ExitCode) -> ExitCode {
        Terminal.printError("pail: \(message)")
        return code
    }
}
