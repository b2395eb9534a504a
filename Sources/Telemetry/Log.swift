import Glibc
import Primitives

/// How important a record is.
public enum LogLevel: Int, Sendable, Comparable, CaseIterable {
    case debug, info, warning, error

    public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }

    var label: StaticString {
        switch self {
        case .debug: "debug"
        case .info: "info"
        case .warning: "warning"
        case .error: "error"
        }
    }
}

/// Where records go.
public enum LogSink: Sendable {
    case standardError
    /// An open descriptor; each record is one write(2), so records of several processes don't mix (O_APPEND).
    case descriptor(Int32)
    /// An open descriptor of the file at `path`. When it has grown beyond `limitBytes`, it is renamed to `path.old`
    /// and the descriptor is made to refer to a new one.
    case rotating(descriptor: Int32, path: String, limitBytes: Int64)
    /// For tests.
    case memory(LogMemory)
    case none
}

/// Records kept in memory, for tests.
public final class LogMemory: Sendable {
    private let kept = Lock([String]())

    public init() {}

    public var lines: [String] { kept.withLock { $0 } }
    func append(_ line: String) { kept.withLock { $0.append(line) } }
}

/// The log: one line a record, `time level area: message`. Safe from any thread. Never put a secret into it.
public final class Log: Sendable {
    private let level: LogLevel
    private let sink: LogSink
    private let sinceLook = Lock(Int64(0))

    public static let silent = Log(level: .error, sink: .none)

    public init(level: LogLevel = .info, sink: LogSink) {
        self.level = level
        self.sink = sink
    }

    public func debug(_ area: StaticString, _ message: @autoclosure () -> String) { record(.debug, area, message) }
    public func info(_ area: StaticString, _ message: @autoclosure () -> String) { record(.info, area, message) }
    public func warning(_ area: StaticString, _ message: @autoclosure () -> String) { record(.warning, area, message) }
    public func error(_ area: StaticString, _ message: @autoclosure () -> String) { record(.error, area, message) }

    private func record(_ level: LogLevel, _ area: StaticString, _ message: () -> String) {
        guard level >= self.level else { return }
        let text = message().map { $0.isNewline ? " " : String($0) }.joined()
        let line = "\(Self.time()) \(level.label) \(area): \(text)\n"
        switch sink {
        case .standardError: Self.write(line, to: STDERR_FILENO)
        case .descriptor(let number): Self.write(line, to: number)
        case .rotating(let descriptor, let path, let limitBytes):
            Self.write(line, to: descriptor)
            rotate(descriptor, path, limitBytes, adding: Int64(line.utf8.count))
        case .memory(let memory): memory.append(line)
        case .none: break
        }
    }

    private static func write(_ line: String, to descriptor: Int32) {
        let bytes = Array(line.utf8)
        // A log that can't be written has nobody left to tell.
        _ = Glibc.write(descriptor, bytes, bytes.count)
    }

    /// How many bytes are logged between two looks at the file's size.
    private static let lookEveryBytes: Int64 = 64 << 10

    private func rotate(_ descriptor: Int32, _ path: String, _ limitBytes: Int64, adding count: Int64) {
        let look = sinceLook.withLock { bytes -> Bool in
            bytes += count
            guard bytes >= Self.lookEveryBytes else { return false }
            bytes = 0
            return true
        }
        guard look else { return }
        var status = stat()
        guard fstat(descriptor, &status) == 0, Int64(status.st_size) > limitBytes else { return }
        guard rename(path, path + ".old") == 0, let file = fopen(path, "ae") else { return }
        // The new file is as private as the old one.
        fchmod(fileno(file), status.st_mode & 0o777)
        dup2(fileno(file), descriptor)
        fclose(file)
    }

    private static func time() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        var seconds = now.tv_sec
        gmtime_r(&seconds, &parts)
        func padded(_ number: Int, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date = "\(1900 + Int(parts.tm_year))-\(padded(Int(parts.tm_mon) + 1, 2))-\(padded(Int(parts.tm_mday), 2))"
        let clock = "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):\(padded(Int(parts.tm_sec), 2))"
        return "\(date)T\(clock).\(padded(now.tv_nsec / 1_000_000, 3))Z"
    }
}
