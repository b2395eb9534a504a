/// How often and after which waits something is tried again: exponential backoff with full jitter
/// (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).
public struct RetryPolicy: Sendable, Equatable {
    public var attempts: Int
    public var baseMilliseconds: Int64
    public var ceilingMilliseconds: Int64

    public init(attempts: Int = 6, baseMilliseconds: Int64 = 100, ceilingMilliseconds: Int64 = 20_000) {
        self.attempts = attempts
        self.baseMilliseconds = baseMilliseconds
        self.ceilingMilliseconds = ceilingMilliseconds
    }

    /// The wait before attempt `attempt` (the first retry is 1): a random number from 0 to the doubled base.
    public func delayMilliseconds(attempt: Int, using generator: inout some RandomNumberGenerator) -> Int64 {
        let doublings = min(max(attempt - 1, 0), 30)
        let limit = min(ceilingMilliseconds, baseMilliseconds << Int64(doublings))
        return Int64.random(in: 0...max(limit, 0), using: &generator)
    }
}
