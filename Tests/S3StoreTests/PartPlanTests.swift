import ObjectStore
import Primitives
import Testing

@testable import S3Store

@Suite("PartPlan") struct PartPlanTests {
    private let mebibyte: Int64 = 1 << 20

    private func plan(_ segments: [UploadPlan.Segment], canCopy: Bool = true, partBytes: Int64 = 16 << 20) -> PartPlan {
        PartPlan(segments, canCopy: canCopy, partBytes: partBytes, copyPartBytes: 512 << 20)
    }

    @Test func smallIsOneRequest() {
        #expect(plan([]).isSingleRequest)
        #expect(plan([]).parts == [])
        #expect(plan([.new(0..<16 * mebibyte)]).parts == [.send(0..<16 * mebibyte)])
        #expect(plan([.new(0..<16 * mebibyte + 1)]).parts.count == 2)
        #expect(plan([.unchanged(0..<4 * mebibyte), .new(4 * mebibyte..<5 * mebibyte)]).isSingleRequest)
        #expect(!plan([.unchanged(0..<1)]).isSingleRequest)
    }

    @Test func oneByteInALargeObject() {
        let size: Int64 = 10 << 30
        let middle: Int64 = (5 << 30) + 7
        let parts = plan([.unchanged(0..<middle), .new(middle..<middle + 1), .unchanged(middle + 1..<size)]).parts
        let sent = parts.compactMap { if case .send(let range) = $0 { range } else { nil } }
        #expect(sent == [5 << 30..<(5 << 30) + 5 * mebibyte])
    }

    @Test func withoutCopiesEverythingIsSent() {
        let parts = plan([.unchanged(0..<100 * mebibyte)], canCopy: false).parts
        #expect(parts.allSatisfy { if case .send = $0 { true } else { false } })
    }

    @Test func tenThousandPartsAreEnough() {
        for size: Int64 in [160 << 30, (160 << 30) + 1, 5 << 40] {
            let parts = plan([.new(0..<size)]).parts
            #expect(parts.count <= 10_000)
            check(parts, size)
        }
        // Every other 5 MiB is new.
        let step = 5 * mebibyte
        let segments = (0..<20_001).map { index -> UploadPlan.Segment in
            let range = Int64(index) * step..<Int64(index + 1) * step
            return index % 2 == 0 ? .new(range) : .unchanged(range)
        }
        let parts = plan(segments).parts
        #expect(parts.count <= 10_000)
        check(parts, 20_001 * step)
    }

    @Test(arguments: 0..<200) func randomPlansObeyTheLimits(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var segments: [UploadPlan.Segment] = []
        var end: Int64 = 0
        for _ in 0..<Int.random(in: 1...30, using: &generator) {
            let length = Int64.random(in: 1...(1 << Int64.random(in: 1...31, using: &generator)), using: &generator)
            let range = end..<end + length
            segments.append(Bool.random(using: &generator) ? .new(range) : .unchanged(range))
            end += length
        }
        let plan = plan(segments)
        check(plan.parts, end)
        for case .copy(let range) in plan.parts {
            let isUnchanged = segments.allSatisfy {
                if case .new(let new) = $0 { !new.overlaps(range) } else { true }
            }
            #expect(isUnchanged)
        }
    }

    /// Gapless, none too small or too large.
    private func check(_ parts: [PartPlan.Part], _ size: Int64) {
        var end: Int64 = 0
        for (index, part) in parts.enumerated() {
            let range =
                switch part {
                case .copy(let range), .send(let range): range
                }
            #expect(range.lowerBound == end && !range.isEmpty)
            #expect(range.length <= 5 << 30)
            if index < parts.count - 1 { #expect(range.length >= 5 * mebibyte) }
            end = range.upperBound
        }
        #expect(end == size)
    }
}
