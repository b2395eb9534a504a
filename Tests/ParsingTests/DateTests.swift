import Foundation
import Parsing
import Primitives
import Testing

@Suite struct DateTests {
    @Test(arguments: [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777 as Int64), ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Wed, 31 Dec 1969 23:59:59 GMT", -1), ("Thu, 29 Feb 2024 12:00:00 GMT", 1_709_208_000),
        ("Mon, 01 Jan 1900 00:00:00 GMT", -2_208_988_800), ("Fri, 31 Dec 2100 23:59:59 GMT", 4_133_980_799),
    ])
    func httpDates(text: String, seconds: Int64) {
        #expect(HTTPDate.parse(text) == Timestamp(seconds: seconds))
        #expect(HTTPDate.format(Timestamp(seconds: seconds, nanoseconds: 999_999_999)) == text)
    }

    @Test(arguments: [
        "", "Sun, 06 Nov 1994 08:49:37", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 94 08:49:37 GMT", "Sun, 31 Apr 1994 08:49:37 GMT", "Sun, 29 Feb 2023 08:49:37 GMT",
        "Sun, 29 Feb 2100 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 9999 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:-7 GMT", "XXX, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET",
    ])
    func noHTTPDates(text: String) {
        #expect(HTTPDate.parse(text) == nil)
    }

    @Test(arguments: [
        ("2009-10-12T17:50:30.000Z", 1_255_369_830_000_000_000 as Int64), ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1), ("1970-01-01T00:00:00.1234567899Z", 123_456_789),
        ("1969-12-31T23:59:59.5Z", -500_000_000), ("2009-10-12T19:50:30+02:00", 1_255_369_830_000_000_000),
        ("2009-10-12T12:20:30-05:30", 1_255_369_830_000_000_000), ("2016-12-31T23:59:60Z", 1_483_228_800_000_000_000),
    ])
    func isoDates(text: String, nanoseconds: Int64) {
        #expect(ISODate.parse(text) == Timestamp(nanoseconds: nanoseconds))
    }

    @Test(arguments: [
        "", "2009-10-12", "2009-10-12T17:50:30", "2009-10-12 17:50:30Z", "2009-10-12T17:50:30.Z",
        "2009-13-12T17:50:30Z",
        "2009-10-12T17:50:61Z", "2009-10-12T17:50:30+0200", "2009-10-12T17:50:30ZZ", "1500-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z", "+009-10-12T17:50:30Z",
    ])
    func noISODates(text: String) {
        #expect(ISODate.parse(text) == nil)
    }

    @Test func basicFormat() {
        #expect(ISODate.formatBasic(Timestamp(seconds: 1_255_369_830, nanoseconds: 5)) == "20091012T175030Z")
        #expect(ISODate.formatBasic(Timestamp(nanoseconds: -1)) == "19691231T235959Z")
    }

    @Test func everyDayFrom1700To2260AsFoundationHasIt() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<3000 {
            let seconds = Int64.random(in: -8_500_000_000...9_150_000_000, using: &generator)
            let time = Timestamp(seconds: seconds)
            let date = Date(timeIntervalSince1970: TimeInterval(seconds))
            let parts = calendar.dateComponents([.year, .month, .day, .hour, .minute, .second, .weekday], from: date)
            let text = HTTPDate.format(time)
            #expect(HTTPDate.parse(text) == time)
            let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
            #expect(text.hasPrefix(weekdays[parts.weekday! - 1]))
            let basic = String(
                format: "%04d%02d%02dT%02d%02d%02dZ", parts.year!, parts.month!, parts.day!, parts.hour!, parts.minute!,
                parts.second!)
            #expect(ISODate.formatBasic(time) == basic)
        }
    }
}
