import Primitives

/// Decides, for one open handle, what to fetch in the background after a read. A pure value.
///
/// - Reads that go on near where the last ones ended, forwards or backwards, have a window ahead of them. It doubles with
///   each read that had to wait, up to `maximumWindowBytes`: so it comes to what the connection holds, and no further.
///   The kernel's own read-ahead sends its requests slightly out of order, which counts as going on.
/// - Reads at equal distances have the next places fetched, as many more each time as there were reads.
/// - Any other is a seek: it gets the block it lies in (a small file: all of it), and what was asked for ahead before is
///   of no use any more.
public struct ReadAhead: Sendable {
    /// What to do after a read.
    public struct Decision: Sendable, Equatable {
        /// To be asked for now, a request each; they begin at a multiple of 64 KiB.
        public var requests: [ByteRange] = []
        /// What was asked for before and is under way isn't wanted any more.
        public var isSeek = false

        public init(requests: [ByteRange] = [], isSeek: Bool = false) {
            self.requests = requests
            self.isSeek = isSeek
        }
    }

    /// What a read is widened to that nothing is known about.
    public static let randomBytes: Int64 = 64 << 10
    /// The least that is fetched of a run, whose requests begin and end at multiples of it.
    public static let blockBytes: Int64 = 128 << 10
    /// Files up to this are fetched by one request.
    public static let smallBytes: Int64 = 1 << 20
    /// How far from the expected place a read still counts as going on.
    public static let toleranceBytes: Int64 = 4 << 20
    public static let maximumRequestBytes: Int64 = 8 << 20
    /// Places that are fetched ahead of reads at equal distances.
    static let maximumPlaces: Int64 = 32
    /// Equal distances that make a row.
    private static let leastRepeats = 2

    private enum Direction { case forwards, backwards }

    public let maximumWindowBytes: Int64
    private var direction = Direction.forwards
    private var window: Int64 = 0
    /// Where the present run has come to.
    private var reached: Int64 = -1
    /// Everything from the start of the present run up to here has been asked for.
    private var asked: Int64 = 0
    /// The last read that was no going on, its distance from the one before, and how often that was the same.
    private var last: ByteRange = 0..<0
    private var distance: Int64 = 0
    private var repeats = 0
    /// How many places of the present row, after the last read, have been asked for.
    private var places: Int64 = 0

    public init(maximumWindowBytes: Int64 = 128 << 20) { self.maximumWindowBytes = maximumWindowBytes }

    /// - Parameters:
    ///   - read: what is asked for, of a file of `size` bytes.
    ///   - isWaiting: not all of it is here.
    public mutating func next(read: ByteRange, size: Int64, isWaiting: Bool) -> Decision {
        guard read.lowerBound < size, !read.isEmpty else { return Decision() }
        let read = read.lowerBound..<min(read.upperBound, size)
        if goesOn(read) {
            last = read
            return Decision(requests: extend(read, size, isWaiting))
        }
        let step = read.lowerBound - last.lowerBound
        repeats = step == distance && step != 0 ? repeats + 1 : 0
        if repeats == 0 { places = 0 }
        distance = step
        last = read
        guard repeats >= Self.leastRepeats else { return restart(read, size) }
        if abs(step) <= max(Self.blockBytes, read.length) {
            direction = .backwards
            reached = read.lowerBound
            asked = Self.floored(read.lowerBound)
            window = 0
            return Decision(requests: extend(read, size, isWaiting))
        }
        return row(read, size)
    }

    // MARK: runs

    private func goesOn(_ read: ByteRange) -> Bool {
        let tolerance = min(Self.toleranceBytes, max(window, Self.blockBytes))
        switch direction {
        case .forwards:
            let gap = read.lowerBound - reached
            return gap == 0 || window > 0 && gap <= tolerance && gap >= -Self.toleranceBytes
        case .backwards:
            return abs(reached - read.upperBound) <= tolerance
        }
    }

    private mutating func extend(_ read: ByteRange, _ size: Int64, _ isWaiting: Bool) -> [ByteRange] {
        if window == 0 || isWaiting {
            window = min(maximumWindowBytes, max(window * 2, 2 * Self.blockBytes, 2 * read.length))
        }
        let unit = Self.unit(window)
        switch direction {
        case .forwards:
            reached = max(reached, read.upperBound)
            asked = max(asked, Self.floored(min(read.lowerBound, reached)))
            let target = min(size, Self.raised(reached + window))
            var requests: [ByteRange] = []
            while target - asked >= unit || target == size && asked < size {
                let end = min(size, asked + unit)
                requests.append(asked..<end)
                asked = end
            }
            return requests
        case .backwards:
            reached = min(reached, read.lowerBound)
            asked = min(asked, Self.raised(max(read.upperBound, reached)))
            let target = max(0, Self.floored(reached - window))
            var requests: [ByteRange] = []
            while asked - target >= unit || target == 0 && asked > 0 {
                let start = max(0, asked - unit)
                requests.append(start..<min(size, asked))
                asked = start
            }
            return requests
        }
    }

    /// Many requests share a window, so that a small one opens the connections that a large one needs. Long ones cost the
    /// server and a distant connection less each.
    private static func unit(_ window: Int64) -> Int64 {
        max(blockBytes, floored(min(maximumRequestBytes, window / 16)))
    }

    private mutating func restart(_ read: ByteRange, _ size: Int64) -> Decision {
        direction = .forwards
        window = 0
        reached = read.upperBound
        let around = size <= Self.smallBytes ? 0..<size : Self.widened(read, size)
        asked = around.upperBound
        return Decision(requests: [around], isSeek: true)
    }

    // MARK: rows

    private mutating func row(_ read: ByteRange, _ size: Int64) -> Decision {
        direction = .forwards
        window = 0
        reached = read.upperBound
        asked = Self.widened(read, size).upperBound
        places = max(0, places - 1)
        let wanted = min(Self.maximumPlaces, 1 << Int64(min(repeats, 5)))
        var requests = [Self.widened(read, size)]
        while places < wanted {
            places += 1
            let start = read.lowerBound + places * distance
            guard start >= 0, start < size else { break }
            requests.append(Self.widened(start..<(start + read.length), size))
        }
        return Decision(requests: requests)
    }

    private static func widened(_ read: ByteRange, _ size: Int64) -> ByteRange {
        let end = (read.upperBound + randomBytes - 1) / randomBytes * randomBytes
        return read.lowerBound / randomBytes * randomBytes..<min(size, end)
    }

    private static func floored(_ offset: Int64) -> Int64 { offset / blockBytes * blockBytes }
    private static func raised(_ offset: Int64) -> Int64 { (offset + blockBytes - 1) / blockBytes * blockBytes }
}
