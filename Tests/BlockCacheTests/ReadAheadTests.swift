import BlockCache
import Primitives
import Testing

@Suite struct ReadAheadTests {
    private static let mebibyte: Int64 = 1 << 20
    private let size: Int64 = 1 << 30

    @Test func aRandomReadIsWidenedALittle() {
        var readAhead = ReadAhead()
        for offset: Int64 in [0, 300_000_000, 100_000_000, 700_000_000] {
            let decision = readAhead.next(read: offset..<(offset + 4096), size: size, isWaiting: true)
            #expect(decision.isSeek && decision.requests.count == 1)
            #expect(decision.requests[0].length == ReadAhead.randomBytes && decision.requests[0].contains(offset))
            #expect(decision.requests[0].lowerBound % ReadAhead.randomBytes == 0)
        }
    }

    @Test func aSmallFileIsOneRequest() {
        var readAhead = ReadAhead()
        let small: Int64 = 1_000_000
        let decision = readAhead.next(read: 500_000..<504_096, size: small, isWaiting: true)
        #expect(decision == ReadAhead.Decision(requests: [0..<small], isSeek: true))
        #expect(readAhead.next(read: 504_096..<600_000, size: small, isWaiting: false).requests.isEmpty)
    }

    @Test func sequentialReadsThatWaitDoubleUpToTheMaximumAndCoverEverythingOnce() {
        var readAhead = ReadAhead(maximumWindowBytes: 8 * Self.mebibyte)
        var covered: Int64 = 0
        var longest: Int64 = 0
        for offset in stride(from: Int64(0), to: 64 * Self.mebibyte, by: 1 << 17) {
            let read = ByteRange(offset: offset, length: 1 << 17)
            for request in readAhead.next(read: read, size: size, isWaiting: true).requests {
                #expect(request.lowerBound == covered)
                covered = request.upperBound
            }
            longest = max(longest, covered - offset)
            #expect(covered >= read.upperBound)
        }
        #expect(longest <= 9 * Self.mebibyte && longest >= 7 * Self.mebibyte)
    }

    @Test func theWindowOfAReaderWhoNeverWaitsStaysAsItIs() {
        var readAhead = ReadAhead()
        var covered: Int64 = 0
        for index in Int64(0)..<1000 {
            let read = ByteRange(offset: index << 17, length: 1 << 17)
            let decision = readAhead.next(read: read, size: size, isWaiting: index < 3)
            covered = max(covered, decision.requests.last?.upperBound ?? 0)
            #expect(covered - read.upperBound <= 2 * Self.mebibyte)
            #expect(covered >= read.upperBound)
        }
    }

    @Test func manyRequestsShareALargeWindow() {
        var readAhead = ReadAhead()
        var requests: [ByteRange] = []
        for index in Int64(0)..<400 {
            requests +=
                readAhead.next(
                    read: ByteRange(offset: index << 20, length: 1 << 20), size: size, isWaiting: true
                ).requests
        }
        #expect(requests.allSatisfy { $0.length <= ReadAhead.maximumRequestBytes })
        #expect(requests.suffix(10).allSatisfy { $0.length == ReadAhead.maximumRequestBytes })
        #expect(requests.last!.upperBound - (400 << 20) >= 120 * Self.mebibyte)
    }

    @Test func slightlyReorderedReadsStaySequential() {
        var readAhead = ReadAhead()
        var covered: Int64 = 0
        for index: Int64 in [0, 1, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10] {
            let decision = readAhead.next(
                read: ByteRange(offset: index << 20, length: 1 << 20), size: size, isWaiting: true)
            #expect(decision.isSeek == (index == 0))
            covered = max(covered, decision.requests.map(\.upperBound).max() ?? 0)
        }
        #expect(covered >= 16 * Self.mebibyte)
    }

    @Test func aSeekStartsAgainAndTheEndOfTheFileClips() {
        var readAhead = ReadAhead()
        for index in Int64(0)..<16 {
            _ = readAhead.next(read: ByteRange(offset: index << 20, length: 1 << 20), size: size, isWaiting: true)
        }
        let seek = readAhead.next(read: 900_000_000..<900_004_096, size: size, isWaiting: true)
        #expect(seek.isSeek && seek.requests.map(\.length) == [ReadAhead.randomBytes])
        let end = readAhead.next(read: (size - 4096)..<size, size: size, isWaiting: true)
        #expect(end.requests.last?.upperBound == size)
        #expect(readAhead.next(read: size..<(size + 4096), size: size, isWaiting: true).requests.isEmpty)
    }

    @Test func backwardReadsHaveTheirWindowBelow() {
        var readAhead = ReadAhead()
        var requests: [ByteRange] = []
        var seeks = 0
        for index in Int64(1)...512 {
            let read = ByteRange(offset: size - index << 14, length: 1 << 14)
            let decision = readAhead.next(read: read, size: size, isWaiting: true)
            requests += decision.requests
            seeks += decision.isSeek ? 1 : 0
            #expect(requests.contains { $0.lowerBound <= read.lowerBound })
        }
        #expect(seeks <= 4)
        #expect(requests.map(\.lowerBound).min()! <= size - 32 * Self.mebibyte)
        #expect(requests.count < 100)
    }

    @Test func backwardReadsEndAtTheBeginning() {
        var readAhead = ReadAhead()
        var lowest = Int64.max
        for offset in stride(from: 4 * Self.mebibyte, through: 0, by: -(1 << 16)) {
            let decision = readAhead.next(read: ByteRange(offset: offset, length: 1 << 16), size: size, isWaiting: true)
            lowest = min(lowest, decision.requests.map(\.lowerBound).min() ?? lowest)
        }
        #expect(lowest == 0)
    }

    @Test func readsAtEqualDistancesHaveTheNextPlacesFetched() {
        var readAhead = ReadAhead()
        var asked: [ByteRange] = []
        for index in Int64(0)..<40 {
            let read = ByteRange(offset: index * 10_000_000, length: 4096)
            let decision = readAhead.next(read: read, size: size, isWaiting: true)
            asked += decision.requests
            #expect(decision.requests.allSatisfy { $0.length <= 2 * ReadAhead.blockBytes })
            #expect(decision.requests.count <= 34)
            #expect(asked.contains { $0.contains(read.lowerBound) })
            if index > 10 { #expect(asked.contains { $0.contains(read.lowerBound + 10 * 10_000_000) }) }
        }
        #expect(readAhead.next(read: 5_000_000..<5_004_096, size: size, isWaiting: true).isSeek)
    }
}
