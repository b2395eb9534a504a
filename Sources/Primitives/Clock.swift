import Glibc

/// Where time comes from: a seam, so that tests can simulate it.
public protocol TimeSource: Sendable {
    /// The wall clock.
    func now() -> Timestamp
    /// The wall clock, some milliseconds behind at the most: cheaper.
    func coarse() -> Timestamp
    /// A clock that never goes back, for durations; its origin has no meaning.
    func monotonic() -> Timestamp
    /// Returns after `milliseconds`, or earlier when the task is cancelled.
    func sleep(milliseconds: Int64) async
}

extension TimeSource {
    public func coarse() -> Timestamp { now() }
}

/// The machine's clocks.
public struct SystemTime: TimeSource {
    public init() {}

    public func now() -> Timestamp { read(CLOCK_REALTIME) }
    public func coarse() -> Timestamp { read(CLOCK_REALTIME_COARSE) }
    public func monotonic() -> Timestamp { read(CLOCK_MONOTONIC) }

    public func sleep(milliseconds: Int64) async {
        // Only cancellation makes this throw, and then returning early is what was promised.
        try? await Task.sleep(nanoseconds: UInt64(max(0, milliseconds)) * 1_000_000)
    }

    private func read(_ clock: clockid_t) -> Timestamp {
        var time = timespec()
        clock_gettime(clock, &time)
        return Timestamp(time)
    }
}
