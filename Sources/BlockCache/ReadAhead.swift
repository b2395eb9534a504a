import Primitives

/// Decides, for one open handle, what to fetch in the background after a read. A pure value.
///
/// Reads that go on near where the last ones ended double the window, up to `maximumWindowBytes`; the kernel's own
/// read-ahead sends its requests slightly out of order, which counts as going on. A seek starts again with what was
/// asked, widened to a block.
public struct ReadAhead: Sendable {
    public static let blockBytes: Int64 = 128 << 10
    /// How far from the expected place a read still counts as going on.
    public static let toleranceBytes: Int64 = 4 << 20

    public let maximumWindowBytes: Int64
    private var expected: Int64 = 0
    private var window: Int64 = 0
    /// Everything from the start of the present run up to here has been asked for.
    private var ahead: Int64 = 0

    public init(maximumWindowBytes: Int64 = 32 << 20) { self.maximumWindowBytes = maximumWindowBytes }

    /// What to fetch now that `read` is asked of a file of `size` bytes; begins at a block; may be empty.
    public mutating func next(read: ByteRange, size: Int64) -> ByteRange {
        let lower = read.lowerBound / Self.blockBytes * Self.blockBytes
        guard read.lowerBound < size, !read.isEmpty else { return lower..<lower }
        let distance = read.lowerBound - expected
        guard distance <= min(Self.toleranceBytes, max(window, Self.blockBytes)), distance >= -Self.toleranceBytes,
            window > 0 || read.lowerBound == expected
        else { return restart(read, size: size) }
        expected = max(expected, read.upperBound)
        if ahead - expected >= window / 2 && window > 0 { return lower..<lower }
        window = min(maximumWindowBytes, max(window * 2, 2 * Self.blockBytes, 2 * read.length))
        let start = max(ahead, min(lower, expected))
        ahead = max(start, min(size, Self.widened(expected + window)))
        return start..<ahead
    }

    private mutating func restart(_ read: ByteRange, size: Int64) -> ByteRange {
        window = 0
        expected = read.upperBound
        let start = read.lowerBound / Self.blockBytes * Self.blockBytes
        ahead = max(start, min(size, Self.widened(read.upperBound)))
        return start..<ahead
    }

    private static func widened(_ offset: Int64) -> Int64 { (offset + blockBytes - 1) / blockBytes * blockBytes }
}
