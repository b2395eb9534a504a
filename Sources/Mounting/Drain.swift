import Primitives

/// Waits for uploads and says how they go on.
struct Drain: Sendable {
    private static let reportMilliseconds: Int64 = 500

    let stack: Stack

    /// Returns what is left: nothing, or what there was when the time was over, or when `report` said that nobody
    /// wants to know any more. `path`: only what lies there; nil: everything.
    func run(
        path: String? = nil, limitMilliseconds: Int64?, report: @Sendable (Progress) -> Bool
    ) async -> Progress {
        let time = SystemTime()
        let begin = time.monotonic()
        let finished = Lock(false)
        let work = Task { [stack] in
            await stack.flush(path: path)
            if !Task.isCancelled { finished.withLock { $0 = true } }
        }
        defer { work.cancel() }
        var lastReport = begin
        var lastBytes = stack.uploadedBytes
        var pause: Int64 = 2
        while !finished.withLock({ $0 }) {
            let now = time.monotonic()
            if let limitMilliseconds, now.milliseconds(since: begin) >= limitMilliseconds { return stack.progress() }
            if now.milliseconds(since: lastReport) >= Self.reportMilliseconds {
                var progress = stack.progress()
                let bytes = stack.uploadedBytes
                progress.bytesPerSecond = (bytes - lastBytes) * 1000 / max(1, now.milliseconds(since: lastReport))
                (lastReport, lastBytes) = (now, bytes)
                if !report(progress) { return progress }
            }
            await time.sleep(milliseconds: pause)
            pause = min(pause * 2, 50)
        }
        return Progress(files: 0, bytes: 0)
    }
}
