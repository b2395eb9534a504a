import Glibc

/// A point in time as POSIX keeps it: nanoseconds since 1970-01-01T00:00:00Z, negative before.
/// Good for the years 1678 to 2262.
public struct Timestamp: Hashable, Comparable, Sendable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    public init(seconds: Int64, nanoseconds: Int64 = 0) {
        self.nanoseconds = seconds &* 1_000_000_000 &+ nanoseconds
    }

    public init(_ time: timespec) { self.init(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec)) }

    public static let zero = Timestamp(nanoseconds: 0)

    /// Whole seconds, rounded towards the past.
    public var seconds: Int64 {
        let (quotient, remainder) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return remainder < 0 ? quotient - 1 : quotient
    }

    /// The nanoseconds after `seconds`, 0 to 999,999,999.
    public var fraction: Int64 { nanoseconds - seconds * 1_000_000_000 }

    public var timespec: timespec { Glibc.timespec(tv_sec: Int(seconds), tv_nsec: Int(fraction)) }

    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.nanoseconds < right.nanoseconds }

    public func adding(milliseconds: Int64) -> Timestamp {
        Timestamp(nanoseconds: nanoseconds + milliseconds * 1_000_000)
    }

    /// Milliseconds from `earlier` to this.
    public func milliseconds(since earlier: Timestamp) -> Int64 { (nanoseconds - earlier.nanoseconds) / 1_000_000 }
}
