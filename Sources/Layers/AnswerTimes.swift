/// How long the newest answers of one kind took until they began, and from when on one of them is late.
struct AnswerTimes {
    /// Enough for a percentile, few enough to follow a store that becomes slower.
    static let capacity = 128
    /// With fewer the slowest alone would decide.
    static let least = 20
    static let percentile = 95

    private var nanoseconds: [Int64] = []
    private var oldest = 0

    mutating func add(nanoseconds time: Int64) {
        if nanoseconds.count < Self.capacity { return nanoseconds.append(time) }
        nanoseconds[oldest] = time
        oldest = (oldest + 1) % Self.capacity
    }

    /// What all but the slowest twentieth stayed within, rounded up; nil while too little is known.
    var tailMilliseconds: Int64? {
        guard nanoseconds.count >= Self.least else { return nil }
        let rank = (nanoseconds.count * Self.percentile + 99) / 100
        return (nanoseconds.sorted()[rank - 1] + 999_999) / 1_000_000
    }
}
