/// What a command asks a daemon, one line.
public enum ControlRequest: Sendable, Equatable {
    case status
    /// Upload everything; nil: wait as long as it takes. `path`: that file or what is below it; empty: all.
    case flush(path: String, timeoutMilliseconds: Int64?)
    /// Upload everything, then unmount and end. Forced: unmount after the time-out and when busy, too.
    case stop(timeoutMilliseconds: Int64?, forced: Bool)
    /// Another daemon wants the cache: end at once if nothing is mounted any more.
    case release

    var line: String {
        switch self {
        case .status: "status"
        case .flush(let path, let limit): "flush \(limit ?? -1) \(LineText.escape(path))"
        case .stop(let limit, let forced): "stop \(limit ?? -1) \(forced ? 1 : 0)"
        case .release: "release"
        }
    }

    init?(line: String) {
        let words = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        let limit = words.count > 1 ? Int64(words[1]) : nil
        let time = limit.flatMap { $0 < 0 ? nil : $0 }
        switch (words[0], words.count) {
        case ("status", 1): self = .status
        case ("flush", 3) where limit != nil:
            self = .flush(path: LineText.unescape(words[2]), timeoutMilliseconds: time)
        case ("stop", 3) where limit != nil: self = .stop(timeoutMilliseconds: time, forced: words[2] == "1")
        case ("release", 1): self = .release
        default: return nil
        }
    }
}

/// What a daemon answers: any number of lines, the last of which is `done` or `failed`.
public enum ControlReply: Sendable, Equatable {
    case field(name: String, value: StatusValue)
    case progress(Progress)
    case done
    case failed(ExitCode, String)

    var isLast: Bool {
        switch self {
        case .done, .failed: true
        default: false
        }
    }

    var line: String {
        switch self {
        case .field(let name, .text(let text)): "text \(name) \(LineText.escape(text))"
        case .field(let name, .number(let number)): "number \(name) \(number)"
        case .progress(let progress):
            "progress \(progress.files) \(progress.bytes) \(progress.bytesPerSecond) \(LineText.escape(progress.trouble))"
        case .done: "done"
        case .failed(let code, let message): "failed \(code.rawValue) \(LineText.escape(message))"
        }
    }

    init?(line: String) {
        let words = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        switch (words[0], words.count) {
        case ("text", 3): self = .field(name: words[1], value: .text(LineText.unescape(words[2])))
        case ("number", 3):
            guard let number = Int64(words[2]) else { return nil }
            self = .field(name: words[1], value: .number(number))
        case ("progress", 3):
            guard let progress = Progress(line) else { return nil }
            self = .progress(progress)
        case ("done", 1): self = .done
        case ("failed", 3):
            guard let code = Int32(words[1]).flatMap(ExitCode.init) else { return nil }
            self = .failed(code, LineText.unescape(words[2]))
        default: return nil
        }
    }
}

/// One value of a mount's status.
public enum StatusValue: Sendable, Equatable {
    case text(String)
    case number(Int64)
}

/// What still has to go into the bucket.
public struct Progress: Sendable, Equatable {
    public var files: Int
    public var bytes: Int64
    public var bytesPerSecond: Int64
    /// Why it is not going on, empty if it is.
    public var trouble: String

    public init(files: Int, bytes: Int64, bytesPerSecond: Int64 = 0, trouble: String = "") {
        self.files = files
        self.bytes = bytes
        self.bytesPerSecond = bytesPerSecond
        self.trouble = trouble
    }

    fileprivate init?(_ line: String) {
        let words = line.split(separator: " ", maxSplits: 4, omittingEmptySubsequences: false).map(String.init)
        guard words.count == 5, let files = Int(words[1]), let bytes = Int64(words[2]), let rate = Int64(words[3])
        else { return nil }
        self.init(files: files, bytes: bytes, bytesPerSecond: rate, trouble: LineText.unescape(words[4]))
    }
}
