import ObjectStore
import Primitives
import Testing

@testable import BlockCache

/// A file in the cache beside plain arrays that say what must be in it and what the bucket has.
private struct Model {
    let fixture: CacheFixture
    var random: SeededGenerator
    let maximum: Int64
    var file: CachedFile
    var content: [UInt8]
    var origin: [UInt8]
    var upload: (snapshot: Snapshot, content: [UInt8])?
    var steps: [String] = []

    init(seed: UInt64, maximum: Int64) throws {
        fixture = try CacheFixture()
        random = SeededGenerator(seed: seed)
        self.maximum = maximum
        if Bool.random(using: &random) {
            origin = pattern(Int.random(in: 0...Int(maximum), using: &random), seed: Int(seed))
            content = origin
            file = try fixture.cache.open(7, originBytes: Int64(origin.count))
        } else {
            origin = []
            content = []
            file = try fixture.cache.create(7)
        }
    }

    mutating func offset() -> Int64 {
        let number = Int64.random(in: 0...maximum, using: &random)
        return Int.random(in: 0..<3, using: &random) == 0 ? number / 4096 * 4096 : number
    }

    mutating func range() -> ByteRange {
        let (first, second) = (offset(), offset())
        return min(first, second)..<max(first, second)
    }

    func land(_ range: ByteRange) throws {
        for part in file.missing(in: range) {
            #expect(part.upperBound <= Int64(origin.count), "\(steps)")
            try file.land(Array(origin[Int(part.lowerBound)..<Int(part.upperBound)]), at: part.lowerBound)
        }
    }

    func untilWritten(_ body: () throws -> WriteOutcome) throws {
        for _ in 0..<3 {
            guard case .missing(let range) = try body() else { return }
            try land(range)
        }
        Issue.record("never written: \(steps)")
    }

    mutating func step() throws {
        let choice = Int.random(in: 0..<16, using: &random)
        switch choice {
        case 0...3: try write()
        case 4: try truncate()
        case 5: try zero()
        case 6...8: try check(range())
        case 9: try landAround()
        case 10:
            steps.append("evict")
            _ = try file.evict(limit: Int64.random(in: 0...maximum, using: &random))
        case 11, 12: try beginOrFinish()
        case 13, 14: try restart(trustClean: true)
        default: try restart(trustClean: false)
        }
        #expect(file.sizeBytes == Int64(content.count), "\(steps)")
    }

    mutating func write() throws {
        let start = offset()
        let length =
            Bool.random(using: &random)
            ? Int.random(in: 1...9000, using: &random) : Int.random(in: 1...40, using: &random)
        let bytes = pattern(length, seed: Int.random(in: 0..<1000, using: &random))
        steps.append("write \(start) \(length)")
        try untilWritten { try file.writeAll(bytes, at: start) }
        grow(to: Int(start) + length)
        content.replaceSubrange(Int(start)..<(Int(start) + length), with: bytes)
    }

    mutating func grow(to size: Int) {
        if content.count < size { content += [UInt8](repeating: 0, count: size - content.count) }
    }

    mutating func truncate() throws {
        let size = offset()
        steps.append("truncate \(size)")
        try untilWritten { try file.truncate(to: size) }
        if Int(size) < content.count { content.removeLast(content.count - Int(size)) } else { grow(to: Int(size)) }
    }

    mutating func zero() throws {
        let range = range()
        if range.isEmpty { return }
        let keepSize = Bool.random(using: &random)
        steps.append("zero \(range) \(keepSize)")
        try untilWritten { try file.zero(range, keepSize: keepSize) }
        if !keepSize { grow(to: Int(range.upperBound)) }
        let end = min(content.count, Int(range.upperBound))
        if Int(range.lowerBound) < end {
            let zeros = [UInt8](repeating: 0, count: end - Int(range.lowerBound))
            content.replaceSubrange(Int(range.lowerBound)..<end, with: zeros)
        }
    }

    mutating func landAround() throws {
        // What is here already must be left alone: the whole origin at once, or what is missing.
        steps.append("land")
        if Bool.random(using: &random) {
            try file.land(Array(origin.prefix(Int(file.originBytes))), at: 0)
        } else {
            try land(range())
        }
    }

    func check(_ range: ByteRange) throws {
        for _ in 0..<3 {
            if let bytes = try file.readAll(range) {
                let end = min(Int(range.upperBound), content.count)
                let expected = Int(range.lowerBound) < end ? Array(content[Int(range.lowerBound)..<end]) : []
                #expect(same(bytes, expected), "\(range) after \(steps)")
                return
            }
            try land(range)
        }
        Issue.record("never read: \(steps)")
    }

    mutating func beginOrFinish() throws {
        if let (snapshot, uploaded) = upload {
            let succeeded = Bool.random(using: &random)
            steps.append("finish \(succeeded)")
            if snapshot.frozen != nil { try verify(snapshot, uploaded) }
            try file.finishUpload(snapshot, succeeded: succeeded)
            if succeeded { origin = uploaded }
            if !file.isDirty { #expect(same(origin, content), "clean, but different: \(steps)") }
            upload = nil
            return
        }
        guard file.isDirty else { return }
        steps.append("begin")
        if Bool.random(using: &random) {
            let snapshot = try file.beginUpload()
            try verify(snapshot, content)
            upload = (snapshot, content)
        } else {
            try land(0..<maximum)
            upload = (try file.beginFrozenUpload(), content)
        }
    }

    /// The plan's pieces together must be the content.
    func verify(_ snapshot: Snapshot, _ expected: [UInt8]) throws {
        let base = UploadPlan.Base(key: "k", etag: ETag("e"))
        let (plan, missing) = snapshot.plan(base: base, baseSizeBytes: Int64(origin.count), granularity: 16384)
        #expect(plan.sizeBytes == Int64(expected.count), "\(steps)")
        if snapshot.frozen == nil { for range in missing { try land(range) } }
        var result: [UInt8] = []
        for segment in plan.segments {
            switch segment {
            case .unchanged(let range):
                try #require(Int(range.upperBound) <= origin.count, "\(steps)")
                result += origin[Int(range.lowerBound)..<Int(range.upperBound)]
            case .new(let range):
                var bytes = [UInt8](repeating: 0xEE, count: Int(range.length))
                try bytes.withUnsafeMutableBytes { buffer in
                    Result { try plan.source.read(at: range.lowerBound, into: buffer) }
                }.get()
                result += bytes
            }
        }
        #expect(same(result, expected), "\(steps)")
    }

    mutating func restart(trustClean: Bool) throws {
        steps.append("restart \(trustClean)")
        if let (_, uploaded) = upload, Bool.random(using: &random) {
            steps.append("uploaded")
            origin = uploaded
        }
        upload = nil
        let wasDirty = file.isDirty
        let scan = try fixture.restart(trustClean: trustClean)
        #expect(scan.lost.isEmpty)
        if wasDirty {
            #expect(scan.files.count == 1 && scan.files[0].isDirty, "\(steps)")
            #expect(scan.files.first?.sizeBytes == Int64(content.count), "\(steps)")
        } else {
            #expect(same(content, origin), "\(steps)")
        }
        file = try fixture.cache.open(7, originBytes: Int64(origin.count))
    }
}

@Suite struct ModelTests {
    @Test(arguments: 0..<16) func randomChangesAreNeverLost(seed: UInt64) throws {
        var model = try Model(seed: seed, maximum: 100_000)
        for _ in 0..<100 { try model.step() }
        try model.check(0..<200_000)
    }

    @Test(arguments: 1000..<1003) func randomChangesOfBigFilesAreNeverLost(seed: UInt64) throws {
        var model = try Model(seed: seed, maximum: 2_500_000)
        for _ in 0..<60 { try model.step() }
        try model.check(0..<5_000_000)
    }
}
