import Primitives

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7, from RFC 1123), to the second.
public enum HTTPDate {
    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// Nil for other forms. Whether the day of the week is right isn't checked.
    public static func parse(_ text: String) -> Timestamp? {
        var scanner = DateScanner(text)
        var time = CivilTime()
        guard scanner.name(of: days) != nil, scanner.take(", "),
            let day = scanner.number(2), scanner.take(" "),
            let month = scanner.name(of: months), scanner.take(" "),
            let year = scanner.number(4), scanner.take(" "),
            let hour = scanner.number(2), scanner.take(":"),
            let minute = scanner.number(2), scanner.take(":"),
            let second = scanner.number(2), scanner.take(" GMT"), scanner.isAtEnd
        else { return nil }
        (time.year, time.month, time.day) = (year, month + 1, day)
        (time.hour, time.minute, time.second) = (hour, minute, second)
        return time.timestamp
    }

    public static func format(_ timestamp: Timestamp) -> String {
        let time = CivilTime(timestamp)
        let date = "\(padded(time.day, 2)) \(months[time.month - 1]) \(padded(time.year, 4))"
        let clock = "\(padded(time.hour, 2)):\(padded(time.minute, 2)):\(padded(time.second, 2))"
        return "\(days[time.weekday]), \(date) \(clock) GMT"
    }
}
