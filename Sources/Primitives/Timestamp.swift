import Glibc

/// A point in time as POSIX keeps it: nanoseconds since 1970-01-01T00:00:00Z, negative before.
/// Good for the years 1678 to 2262: what lies outside, as a user may set it with utimensat(2), becomes the nearest end.
public struct Timestamp: Hashable, Comparable, Sendable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    public init(seconds: Int64, nanoseconds: Int64 = 0) {
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let end = seconds < 0 ? Int64.min : Int64.max
        self.nanoseconds = overflow ? end : whole.addingSaturated(nanoseconds)
    }

    public init(_ time: timespec) { self.init(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec)) }

    public static let zero = Timestamp(nanoseconds: 0)

    /// Whole seconds, rounded towards the past.
    public var seconds: Int64 {
        let (quotient, remainder) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return remainder < 0 ? quotient - 1 : quotient
    }

    /// The nanoseconds after `seconds`, 0 to 999,999,999.
    public var fraction: Int64 { nanoseconds &- seconds &* 1_000_000_000 }

    public var timespec: timespec { Glibc.timespec(tv_sec: Int(seconds), tv_nsec: Int(fraction)) }

    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.nanoseconds < right.nanoseconds }

    public func adding(milliseconds: Int64) -> Timestamp {
        let (whole, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
        let end = milliseconds < 0 ? Int64.min : Int64.max
        return Timestamp(nanoseconds: overflow ? end : nanoseconds.addingSaturated(whole))
    }

    /// Milliseconds from `earlier` to this.
    public func milliseconds(since earlier: Timestamp) -> Int64 {
        let (difference, overflow) = nanoseconds.subtractingReportingOverflow(earlier.nanoseconds)
        return (overflow ? (nanoseconds < 0 ? .min : .max) : difference) / 1_000_000
    }
}

extension Int64 {
    fileprivate func addingSaturated(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other < 0 ? .min : .max) : sum
    }
}
