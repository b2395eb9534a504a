import Configuration
import Mounting

/// `pail doctor`.
enum DoctorCommand {
    static func run(_ arguments: [String]) async throws -> ExitCode {
        let given = try MountArguments(
            arguments, directory: ProcessEnvironment.workingDirectory, mounts: false)
        var failed = false
        await Doctor(given.configuration).examine { finding in
            Terminal.print(finding.line)
            if finding.grade == .fail { failed = true }
        }
        return failed ? .failed : .ok
    }
}
