/// What `pail` exits with; documented in its help.
public enum ExitCode: Int32, Sendable, CaseIterable {
    case ok = 0
    case failed = 1
    case usage = 2
    case incomplete = 3
    case mountPoint = 4
    case bucket = 5
    case cache = 6

    public var meaning: String {
        switch self {
        case .ok: "done"
        case .failed: "it failed; stderr says why"
        case .usage: "unknown option, malformed address or faulty configuration"
        case .incomplete: "not everything is in the bucket (yet); nothing is lost"
        case .mountPoint: "the mount point can't be used, is busy, or is no mount of pail's"
        case .bucket: "the bucket can't be reached, doesn't exist, or may not be used with these credentials"
        case .cache: "the cache directory is in use, full, another bucket's or another version's"
        }
    }
}

/// Why a command gives up: one line that says what to do, and the exit code.
public struct MountFailure: Error, Sendable, CustomStringConvertible {
    public var code: ExitCode
    public var message: String

    public init(_ code: ExitCode, _ message: String) {
        self.code = code
        self.message = message.map { $0.isNewline ? " " : String($0) }.joined()
    }

    public var description: String { message }
}
