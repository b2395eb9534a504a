import Primitives

/// Dates of ISO 8601 as RFC 3339 profiles them.
public enum ISODate {
    /// `2009-10-12T17:50:30.000Z`: with or without a fraction, of which 9 digits count, and with `Z` or `+01:00`.
    public static func parse(_ text: String) -> Timestamp? {
        var scanner = DateScanner(text)
        var time = CivilTime()
        guard let year = scanner.number(4), scanner.take("-"),
            let month = scanner.number(2), scanner.take("-"),
            let day = scanner.number(2), scanner.take("T"),
            let hour = scanner.number(2), scanner.take(":"),
            let minute = scanner.number(2), scanner.take(":"),
            let second = scanner.number(2)
        else { return nil }
        (time.year, time.month, time.day) = (year, month, day)
        (time.hour, time.minute, time.second) = (hour, minute, second)
        if scanner.take(".") {
            guard let nanosecond = fraction(&scanner) else { return nil }
            time.nanosecond = nanosecond
        }
        guard let offsetMinutes = offset(&scanner), scanner.isAtEnd else { return nil }
        return time.timestamp?.adding(milliseconds: Int64(-offsetMinutes) * 60_000)
    }

    /// `20091012T175030Z`, as signatures have it: to the second.
    public static func formatBasic(_ timestamp: Timestamp) -> String {
        let time = CivilTime(timestamp)
        let date = padded(time.year, 4) + padded(time.month, 2) + padded(time.day, 2)
        return date + "T" + padded(time.hour, 2) + padded(time.minute, 2) + padded(time.second, 2) + "Z"
    }

    private static func fraction(_ scanner: inout DateScanner) -> Int? {
        guard let first = scanner.number(1) else { return nil }
        var nanoseconds = first * 100_000_000
        var unit = 10_000_000
        while let digit = scanner.number(1) {
            nanoseconds += digit * unit
            unit /= 10
        }
        return nanoseconds
    }

    private static func offset(_ scanner: inout DateScanner) -> Int? {
        if scanner.take("Z") { return 0 }
        let sign = scanner.take("+") ? 1 : scanner.take("-") ? -1 : 0
        guard sign != 0, let hours = scanner.number(2), scanner.take(":"), let minutes = scanner.number(2),
            hours < 24, minutes < 60
        else { return nil }
        return sign * (hours * 60 + minutes)
    }
}
