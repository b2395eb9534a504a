import Primitives

/// How missing bytes of a file are cut into requests. A pure value.
struct RequestPlan: Equatable {
    /// Present bytes between missing ones that are rather asked for again than left out.
    static let gapBytes: Int64 = 32 << 10

    let requests: [ByteRange]

    /// Joins runs with small gaps.
    /// - Parameter inParallel: cut them to sizes that keep the connections busy, not only to the largest allowed.
    init(_ missing: [ByteRange], _ settings: FetchSettings, inParallel: Bool) {
        let joined = Self.joined(missing)
        var step = settings.maximumRequestBytes
        if inParallel {
            let total = joined.reduce(0) { $0 + $1.length }
            let share = total / Int64(max(1, settings.concurrency)) / ReadAhead.blockBytes * ReadAhead.blockBytes
            let least = max(settings.minimumRequestBytes, min(1 << 20, settings.maximumRequestBytes))
            step = min(step, max(share, least))
        }
        step = max(PageMap.pageBytes, step / PageMap.pageBytes * PageMap.pageBytes)
        requests = joined.flatMap { run in
            stride(from: run.lowerBound, to: run.upperBound, by: Int64.Stride(step)).map {
                $0..<min($0 + step, run.upperBound)
            }
        }
    }

    private static func joined(_ missing: [ByteRange]) -> [ByteRange] {
        var joined: [ByteRange] = []
        for run in missing {
            if let last = joined.last, run.lowerBound - last.upperBound <= gapBytes {
                joined[joined.count - 1] = last.lowerBound..<run.upperBound
            } else {
                joined.append(run)
            }
        }
        return joined
    }
}
