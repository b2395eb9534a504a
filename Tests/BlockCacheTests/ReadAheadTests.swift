import BlockCache
import Primitives
import Testing

@Suite struct ReadAheadTests {
    private static let mebibyte: Int64 = 1 << 20
    private let size: Int64 = 1 << 30

    @Test func aRandomReadIsWidenedToABlock() {
        var readAhead = ReadAhead()
        #expect(readAhead.next(read: 300_000_000..<300_004_096, size: size).length == ReadAhead.blockBytes)
        #expect(readAhead.next(read: 100_000_000..<100_004_096, size: size).length == ReadAhead.blockBytes)
        let window = readAhead.next(read: 700_000_000..<700_004_096, size: size)
        #expect(window.contains(700_000_000) && window.lowerBound % ReadAhead.blockBytes == 0)
    }

    @Test func sequentialReadsDoubleUpToTheMaximumAndCoverEverythingOnce() {
        var readAhead = ReadAhead(maximumWindowBytes: 8 * Self.mebibyte)
        var covered: Int64 = 0
        var longest: Int64 = 0
        for offset in stride(from: Int64(0), to: 64 * Self.mebibyte, by: 1 << 17) {
            let window = readAhead.next(read: ByteRange(offset: offset, length: 1 << 17), size: size)
            if !window.isEmpty {
                #expect(window.lowerBound == covered)
                covered = window.upperBound
                longest = max(longest, window.length)
            }
            #expect(covered >= offset + 1 << 17)
        }
        #expect(longest <= 16 * Self.mebibyte && longest >= 4 * Self.mebibyte)
    }

    @Test func slightlyReorderedReadsStaySequential() {
        var readAhead = ReadAhead()
        var covered: Int64 = 0
        for index in stride(from: Int64(0), to: 32, by: 2) {
            for number in [index, index + 1].reversed() where index > 2 || number >= 0 {
                let order = index < 4 ? (number == index + 1 ? index : index + 1) : number
                let window = readAhead.next(
                    read: ByteRange(offset: order * Self.mebibyte, length: Self.mebibyte), size: size)
                covered = max(covered, window.upperBound)
            }
        }
        #expect(covered >= 48 * Self.mebibyte)
    }

    @Test func aSeekStartsAgainAndTheEndOfTheFileClips() {
        var readAhead = ReadAhead()
        for index in Int64(0)..<16 {
            _ = readAhead.next(read: ByteRange(offset: index << 20, length: 1 << 20), size: size)
        }
        #expect(readAhead.next(read: 900_000_000..<900_004_096, size: size).length == ReadAhead.blockBytes)
        let window = readAhead.next(read: (size - 4096)..<size, size: size)
        #expect(window.upperBound == size)
        #expect(readAhead.next(read: size..<(size + 4096), size: size).isEmpty)
    }
}
