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
    case none
}

/// The log: one line a record, `time level area: message`. Safe from any thread. Never put a secret into it.
public final class Log: Sendable {
    private let level: LogLevel
    private let sink: LogSink

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
        let descriptor: Int32
        switch sink {
        case .standardError: descriptor = STDERR_FILENO
        case .descriptor(let number): descriptor = number
        case .none: return
        }
        let text = message().map { $0.isNewline ? " " : String($0) }.joined()
        var line = Array("\(Self.time()) \(level.label) \(area): \(text)\n".utf8)
        line.withUnsafeMutableBytes { bytes in
            // A log that can't be written has nobody left to tell.
            _ = write(descriptor, bytes.baseAddress, bytes.count)
        }
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
