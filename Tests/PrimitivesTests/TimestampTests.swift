import Glibc
import Primitives
import Testing

@Suite struct TimestampTests {
    @Test(
        arguments: [
            (0, 0, 0), (1, 0, 1), (999_999_999, 0, 999_999_999), (1_000_000_000, 1, 0), (-1, -1, 999_999_999),
            (-1_000_000_000, -1, 0), (-1_000_000_001, -2, 999_999_999), (.max, 9_223_372_036, 854_775_807),
            (-9_223_372_036_000_000_000, -9_223_372_036, 0),
        ] as [(Int64, Int64, Int64)])
    func secondsAndFraction(nanoseconds: Int64, seconds: Int64, fraction: Int64) {
        let time = Timestamp(nanoseconds: nanoseconds)
        #expect(time.seconds == seconds)
        #expect(time.fraction == fraction)
        #expect(Timestamp(seconds: seconds, nanoseconds: fraction) == time)
        #expect(time.timespec.tv_sec == seconds && time.timespec.tv_nsec == fraction)
        #expect(Timestamp(time.timespec) == time)
    }

    @Test func orderAndDifference() {
        let before = Timestamp(seconds: -2, nanoseconds: 500_000_000)
        #expect(before < Timestamp(seconds: -1) && Timestamp(seconds: -1) < .zero)
        #expect(before.nanoseconds == -1_500_000_000)
        #expect(Timestamp.zero.milliseconds(since: before) == 1500)
        #expect(before.milliseconds(since: .zero) == -1500)
        #expect(before.adding(milliseconds: 1500) == .zero)
        #expect(Timestamp.zero.adding(milliseconds: -1500) == before)
    }

    /// utimensat(2) takes any number of seconds.
    @Test func whatCannotBeHeldBecomesTheNearestEnd() {
        let first = Timestamp(seconds: .min)
        let last = Timestamp(seconds: .max, nanoseconds: 999_999_999)
        #expect(first.nanoseconds == .min && last.nanoseconds == .max)
        #expect(Timestamp(seconds: 9_223_372_036, nanoseconds: 999_999_999) == last)
        #expect(first.seconds == -9_223_372_037 && first.fraction == 145_224_192)
        #expect(last.milliseconds(since: first) == Int64.max / 1_000_000)
        #expect(first.milliseconds(since: last) == Int64.min / 1_000_000)
        #expect(last.adding(milliseconds: 1) == last && last.adding(milliseconds: .max) == last)
        #expect(first.adding(milliseconds: -1) == first && first.adding(milliseconds: .min) == first)
    }

    @Test func theMachinesClocks() async {
        let time = SystemTime()
        #expect(time.now() > Timestamp(seconds: 1_600_000_000))
        let start = time.monotonic()
        await time.sleep(milliseconds: 20)
        #expect(time.monotonic().milliseconds(since: start) >= 20)
        await time.sleep(milliseconds: -5)
    }

    @Test func cancellingEndsASleep() async {
        let start = SystemTime().monotonic()
        let sleeper = Task { await SystemTime().sleep(milliseconds: 600_000) }
        sleeper.cancel()
        await sleeper.value
        #expect(SystemTime().monotonic().milliseconds(since: start) < 300_000)
    }
}
