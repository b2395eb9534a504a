import Configuration
import Mounting
import Primitives

/// Shows what is left: on a terminal at once and in place, else a line now and then.
struct ProgressLine {
    private static let patienceMilliseconds: Int64 = 2_000
    private static let everyMilliseconds: Int64 = 5_000

    private let time = SystemTime()
    private let begin: Timestamp
    private var shown: Timestamp?
    private let inPlace = Terminal.showsProgress

    init() { begin = time.monotonic() }

    mutating func show(_ progress: Progress) {
        guard progress.files > 0 else { return }
        let now = time.monotonic()
        if inPlace {
            Terminal.rewrite(Self.text(progress))
        } else {
            guard now.milliseconds(since: begin) >= Self.patienceMilliseconds else { return }
            if let shown, now.milliseconds(since: shown) < Self.everyMilliseconds { return }
            Terminal.printError(Self.text(progress))
        }
        shown = now
    }

    /// Leaves the line free for what follows.
    func end() {
        if inPlace, shown != nil { Terminal.rewrite("") }
    }

    static func text(_ progress: Progress) -> String {
        var text = "\(progress.files) \(progress.files == 1 ? "file" : "files") left"
        text += ", \(Quantity.describe(bytes: progress.bytes))"
        if progress.bytesPerSecond > 0 { text += ", \(Quantity.describe(bytes: progress.bytesPerSecond))/s" }
        if !progress.trouble.isEmpty { text += "; last error: \(progress.trouble)" }
        return text
    }
}
