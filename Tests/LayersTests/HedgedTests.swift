import MemoryStore
import ObjectStore
import Primitives
import Testing

@testable import Layers

@Suite(.timeLimit(.minutes(1)))
struct HedgedTests {
    private static let warmUp = AnswerTimes.least
    private static let bytes = (0..<3 * PacedStore.pieceBytes).map { UInt8(truncatingIfNeeded: $0 &* 31) }

    private let time = VirtualTime()
    private let meter = StoreMeter()
    private let paced: PacedStore
    private let store: Hedged
    private let tag: ETag

    init() throws {
        let memory = MemoryStore()
        tag = try #require(memory.put("a", Self.bytes).etag)
        paced = PacedStore(memory, time: time)
        store = Hedged(paced, meter: meter, time: time)
    }

    // MARK: The tail

    @Test func aLateAnswerIsOvertaken() async throws {
        try await warmUpHeads()
        paced.script([.init(milliseconds: 1_000)])
        let begin = time.now()
        let task = head()
        try await time.pass(of: 2)
        try await time.pass(of: 2)
        #expect(await task.value == nil)
        #expect(time.now().milliseconds(since: begin) == 40)
        #expect(paced.requests == Self.warmUp + 2)
        #expect(await eventually { paced.cancelled == [Self.warmUp + 1] })
        #expect(meter.metrics.hedged == 1 && meter.metrics.hedgesWon == 1)
    }

    @Test func theFirstMayStillWin() async throws {
        try await warmUpHeads()
        paced.script([.init(milliseconds: 30), .init(milliseconds: 1_000)])
        let task = head()
        try await time.pass(of: 2)
        try await time.pass(of: 2)
        #expect(await task.value == nil)
        #expect(await eventually { paced.cancelled == [Self.warmUp + 2] })
        #expect(meter.metrics.hedged == 1 && meter.metrics.hedgesWon == 0)
    }

    @Test func nothingIsSentTwiceBeforeTheTailIsKnown() async throws {
        paced.script([.init(milliseconds: 1_000)])
        let task = head()
        try await time.pass(of: 1)
        #expect(await task.value == nil)
        #expect(paced.requests == 1)
    }

    @Test func nothingIsSentTwiceBelowTheFloor() async throws {
        try await warmUpHeads(milliseconds: 1)
        paced.script([.init(milliseconds: Hedged.floorMilliseconds - 1)])
        let task = head()
        try await time.pass(of: 2)
        #expect(await task.value == nil)
        #expect(paced.requests == Self.warmUp + 1 && time.sleeping == 0)
    }

    @Test func eachKindHasItsOwnTail() async throws {
        try await warmUpHeads()
        paced.script([.init(milliseconds: 1_000)])
        let task = read(into: Gathering())
        try await time.pass(of: 1)
        #expect(await task.value == nil)
        #expect(RequestKind.read(bytes: 64 << 10) != .read(bytes: 128 << 10))
        #expect(RequestKind.read(bytes: 1 << 20) != .read(bytes: 2 << 20))
        #expect(meter.metrics.hedged == 0)
    }

    @Test func changesAreSentOnce() async throws {
        try await warmUpHeads()
        paced.script([.init(milliseconds: 60_000), .init(milliseconds: 60_000), .init(milliseconds: 60_000)])
        let task = Task { [store] in
            await failure { () async throws(StoreError) in
                try await store.put("b", "new")
                _ = try await store.copy(
                    "b", etag: nil, to: "c", metadata: nil, contentType: nil, condition: .none)
                try await store.delete("b", condition: .none)
            }
        }
        for _ in 0..<3 { try await time.pass(of: 1) }
        #expect(await task.value == nil)
        #expect(paced.requests == Self.warmUp + 3)
    }

    // MARK: The budget

    @Test func aSlowStoreGetsLittleMore() async throws {
        try await warmUpHeads()
        let count = 200
        paced.script(Array(repeating: .init(milliseconds: 1_000), count: 2 * count))
        let tasks = (0..<count).map { _ in head() }
        #expect(await eventually { time.sleeping == 2 * count })
        time.advance(milliseconds: 20)
        #expect(await eventually { time.sleeping == count + HedgeBudget.burst })
        time.advance(milliseconds: 1_000)
        for task in tasks { #expect(await task.value == nil) }
        #expect(paced.requests == Self.warmUp + count + HedgeBudget.burst)
        #expect(meter.metrics.hedged == HedgeBudget.burst)
    }

    @Test func inTheLongRunOneInTwenty() {
        var budget = HedgeBudget()
        var sent = 0
        for _ in 0..<10_000 {
            budget.noteRequest()
            if budget.take(at: .zero) { sent += 1 }
        }
        #expect((495...505).contains(sent))
    }

    @Test func aStoreThatAsksForLessIsLeftAlone() async throws {
        try await warmUpHeads()
        paced.script([.init(milliseconds: 1, error: .throttled)])
        let refused = Task { [store] in await failure { () async throws(StoreError) in try await store.put("b", "") } }
        try await time.pass(of: 1)
        #expect(await refused.value?.kind == .throttled)
        paced.script([.init(milliseconds: 1_000)])
        let task = head()
        try await time.pass(of: 2)
        try await time.pass(of: 1)
        #expect(await task.value == nil)
        #expect(meter.metrics.hedged == 0)

        time.advance(milliseconds: HedgeBudget.pauseMilliseconds)
        paced.script([.init(milliseconds: 1_000)])
        let later = head()
        try await time.pass(of: 2)
        try await time.pass(of: 2)
        #expect(await later.value == nil)
        #expect(meter.metrics.hedged == 1)
    }

    // MARK: Bodies

    @Test func theSinkGetsTheBytesOfTheFirstToBegin() async throws {
        try await warmUpReads()
        // The first request begins late and would go on at once; the second begins earlier and takes its time.
        paced.script([.init(milliseconds: 50, isCancellable: false), .init(pauseMilliseconds: 100)])
        let sink = Gathering()
        let task = read(into: sink)
        try await time.pass(of: 2)
        try await time.pass(of: 2)
        try #require(await eventually { sink.pieces.count == 1 })
        for _ in 0..<2 { try await time.pass(of: 1) }
        #expect(await task.value == nil)
        #expect(sink.pieces == Self.pieces)
        #expect(paced.refused == [Self.warmUp + 1])
        #expect(meter.metrics.hedgesWon == 1)
    }

    @Test func whoHasBegunIsNotOvertaken() async throws {
        try await warmUpReads()
        paced.script([.init(milliseconds: 10, pauseMilliseconds: 60_000)])
        let sink = Gathering()
        let task = read(into: sink)
        try await time.pass(of: 2)
        try #require(await eventually { sink.pieces.count == 1 })
        for _ in 0..<2 { try await time.pass(of: 1) }
        #expect(await task.value == nil)
        #expect(sink.pieces == Self.pieces && paced.requests == Self.warmUp + 1)
    }

    @Test func whatTheSinkThrowsEndsTheRead() async throws {
        try await warmUpReads()
        paced.script([.init(milliseconds: 1_000)])
        let task = read(into: Full())
        try await time.pass(of: 2)
        try await time.pass(of: 2)
        #expect(await task.value?.kind == .outOfSpace)
        #expect(await eventually { paced.cancelled == [Self.warmUp + 1] })
    }

    // MARK: Errors

    @Test(arguments: [true, false])
    func anErrorThatMayPassWaitsForTheOther(theFirstFails: Bool) async throws {
        try await warmUpHeads()
        paced.script([
            .init(milliseconds: 50, error: theFirstFails ? .unavailable : nil),
            .init(milliseconds: theFirstFails ? 40 : 20, error: theFirstFails ? nil : .unavailable),
        ])
        let task = head()
        for sleeping in [2, 2, 1] { try await time.pass(of: sleeping) }
        #expect(await task.value == nil)
        #expect(meter.metrics.hedged == 1)
    }

    @Test func whenBothFailAnErrorGoesUp() async throws {
        try await warmUpHeads()
        paced.script([.init(milliseconds: 30, error: .unavailable), .init(milliseconds: 40, error: .unavailable)])
        let task = head()
        for sleeping in [2, 2, 1] { try await time.pass(of: sleeping) }
        #expect(await task.value?.kind == .unavailable)
        #expect(paced.requests == Self.warmUp + 2)
    }

    @Test func anAnswerThatIsAnErrorCounts() async throws {
        try await warmUpHeads()
        paced.script([.init(milliseconds: 1_000), .init(error: .notFound)])
        let task = head()
        try await time.pass(of: 2)
        try await time.pass(of: 2)
        #expect(await task.value?.kind == .notFound)
        #expect(await eventually { paced.cancelled == [Self.warmUp + 1] })
    }

    @Test func whatFailsBeforeItIsLateIsNotSentAgain() async throws {
        try await warmUpHeads()
        paced.script([.init(milliseconds: 5, error: .unavailable)])
        let task = head()
        try await time.pass(of: 2)
        #expect(await task.value?.kind == .unavailable)
        #expect(paced.requests == Self.warmUp + 1 && time.sleeping == 0)
    }

    // MARK: Cancellation

    @Test func cancellingEndsBoth() async throws {
        try await warmUpHeads()
        paced.script([.init(milliseconds: 1_000), .init(milliseconds: 1_000)])
        let task = head()
        try await time.pass(of: 2)
        #expect(await eventually { time.sleeping == 2 && paced.requests == Self.warmUp + 2 })
        task.cancel()
        #expect(await task.value?.kind == .cancelled)
        #expect(await eventually { Set(paced.cancelled) == [Self.warmUp + 1, Self.warmUp + 2] })
        #expect(time.sleeping == 0)
    }

    @Test func whatIsCancelledBeforeIsNotSent() async throws {
        let task = Task { [store] in
            await SystemTime().sleep(milliseconds: 10_000)
            return await failure { () async throws(StoreError) in _ = try await store.head("a") }
        }
        task.cancel()
        #expect(await task.value?.kind == .cancelled)
        #expect(paced.requests == 0)
    }

    // MARK: Steps

    private static var pieces: [Gathering.Piece] {
        stride(from: 0, to: bytes.count, by: PacedStore.pieceBytes).map {
            .init(offset: Int64($0), bytes: Array(bytes[$0..<$0 + PacedStore.pieceBytes]))
        }
    }

    private func head() -> Task<StoreError?, Never> {
        Task { [store] in await failure { () async throws(StoreError) in _ = try await store.head("a") } }
    }

    private func read(into sink: any ByteSink) -> Task<StoreError?, Never> {
        Task { [store, tag] in
            await failure { () async throws(StoreError) in
                try await store.read("a", range: 0..<Int64(Self.bytes.count), ifMatch: tag, into: sink)
            }
        }
    }

    private func warmUpHeads(milliseconds: Int64 = 20) async throws {
        for _ in 0..<Self.warmUp {
            paced.script([.init(milliseconds: milliseconds)])
            let task = head()
            try await time.pass(of: 1)
            try #require(await task.value == nil)
        }
    }

    private func warmUpReads() async throws {
        for _ in 0..<Self.warmUp {
            let task = read(into: Gathering())
            try await time.pass(of: 1)
            try #require(await task.value == nil)
        }
    }
}

/// Keeps what it is given.
private final class Gathering: ByteSink {
    struct Piece: Equatable {
        var offset: Int64
        var bytes: [UInt8]
    }

    private let taken = Lock([Piece]())

    var pieces: [Piece] { taken.withLock { $0 } }

    func take(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StoreError) {
        let piece = Piece(offset: offset, bytes: Array(bytes))
        taken.withLock { $0.append(piece) }
    }
}

private struct Full: ByteSink {
    func take(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StoreError) {
        throw StoreError(.outOfSpace, "take")
    }
}
