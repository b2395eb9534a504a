import Primitives

/// How many requests may be sent twice: few, so that a store that is slow throughout isn't given much more to do, and
/// none for a while after it has asked for fewer.
struct HedgeBudget {
    /// Of the requests.
    static let percent = 5
    /// Most that are saved up for a slow moment.
    static let burst = 5
    static let pauseMilliseconds: Int64 = 30_000

    /// In hundredths of a request.
    private var credit = 0
    private var pauseEnd: Timestamp?

    mutating func noteRequest() { credit = min(credit + Self.percent, Self.burst * 100) }

    mutating func pause(at now: Timestamp) { pauseEnd = now.adding(milliseconds: Self.pauseMilliseconds) }

    /// Whether one more may be sent; it is counted as sent.
    mutating func take(at now: Timestamp) -> Bool {
        if let pauseEnd, now < pauseEnd { return false }
        guard credit >= 100 else { return false }
        credit -= 100
        return true
    }
}
