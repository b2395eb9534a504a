/// When a daemon that has died is started again.
struct RestartPolicy: Sendable {
    /// One that has served for less was of no use.
    static let usefulMilliseconds: Int64 = 1_000
    /// After so many of no use, one after the other, it is given up.
    static let maximumUseless = 20
    private static let firstDelayMilliseconds: Int64 = 50
    private static let maximumDelayMilliseconds: Int64 = 5_000

    private(set) var restarts = 0
    private var useless = 0

    /// A daemon has died after it had served for so long. How long to wait before the next start; nil: no more.
    mutating func delayMilliseconds(afterServing milliseconds: Int64) -> Int64? {
        useless = milliseconds < Self.usefulMilliseconds ? useless + 1 : 0
        if useless > Self.maximumUseless { return nil }
        restarts += 1
        // Once or twice may be chance.
        if useless < 3 { return 0 }
        return min(Self.firstDelayMilliseconds << Int64(useless - 3), Self.maximumDelayMilliseconds)
    }
}
