import Dispatch
import Foundation
import ObjectStore
import Primitives
import Testing

@testable import BlockCache

@Suite struct CachedFileTests {
    @Test func partOfAMissingPageIsFetchedBeforeItIsOverwritten() throws {
        let fixture = try CacheFixture()
        let file = try fixture.cache.open(1, originBytes: 10_000)
        #expect(try file.writeAll([1, 2, 3], at: 5000) == .missing(4096..<8192))
        #expect(!file.isDirty)
        #expect(try file.writeAll([1], at: 9999) == .missing(8192..<10_000))
        #expect(try file.writeAll(pattern(10_000 - 8192), at: 8192) == .written)
        #expect(try file.writeAll([9], at: 12_000) == .written)
        #expect(file.missing(in: 0..<20_000) == [0..<8192])
        #expect(file.sizeBytes == 12_001)
        #expect(try file.readAll(0..<100) == nil)
        try file.land(pattern(8192, seed: 5), at: 0)
        #expect(file.isWhole && file.isDirty)
        #expect(try file.readAll(4096..<8192) == Array(pattern(8192, seed: 5)[4096...]))
    }

    /// What lies in the directory of the content of node 1.
    private func beside(_ fixture: CacheFixture) throws -> [String] {
        try BlockCache.names(in: (fixture.path(1) as NSString).deletingLastPathComponent).sorted()
    }

    @Test func aSmallFileThatIsFetchedMakesOneFile() throws {
        let fixture = try CacheFixture()
        let file = try fixture.cache.open(1, originBytes: 10_000)
        #expect(try beside(fixture) == ["1"])
        try file.land(pattern(10_000), at: 0)
        #expect(try beside(fixture) == ["1"])
        try fixture.restart()
        let again = try fixture.cache.open(1, originBytes: 10_000)
        #expect(again.isWhole && !again.isDirty)
        #expect(try again.readAll(0..<10_000) == pattern(10_000))
    }

    @Test func aSmallFileThatIsChangedBeforeAllOfItIsHereGetsAMap() throws {
        let fixture = try CacheFixture()
        var file = try fixture.cache.open(1, originBytes: 3 * 4096)
        try file.land(Array(pattern(3 * 4096)[..<4096]), at: 0)
        #expect(try file.writeAll(pattern(4096, seed: 9), at: 4096) == .written)
        #expect(try beside(fixture) == ["1", "1.map"])
        #expect(file.missing(in: 0..<3 * 4096) == [8192..<3 * 4096])
        try fixture.restart()
        file = try fixture.cache.open(1, originBytes: 3 * 4096)
        #expect(file.isDirty && file.missing(in: 0..<3 * 4096) == [8192..<3 * 4096])
        #expect(try file.readAll(0..<8192) == Array(pattern(3 * 4096)[..<4096]) + pattern(4096, seed: 9))
    }

    @Test func aPartOfASmallFileIsForgotten() throws {
        let fixture = try CacheFixture()
        var file: CachedFile? = try fixture.cache.open(1, originBytes: 3 * 4096)
        try file?.land(Array(pattern(3 * 4096)[..<4096]), at: 0)
        #expect(fixture.cache.heldBytes == 4096)
        // Killed here.
        let killed = try fixture.restart()
        #expect(killed.files.isEmpty && killed.lost.isEmpty)
        #expect(try beside(fixture) == [])
        file = try fixture.cache.open(1, originBytes: 3 * 4096)
        try file?.land(Array(pattern(3 * 4096)[..<4096]), at: 0)
        file = nil
        #expect(fixture.cache.heldBytes == 0)
        #expect(fixture.cache.usage().files == 0)
        #expect(try beside(fixture) == [])
    }

    @Test func bytesBeyondTheEndNeverComeBack() throws {
        let fixture = try CacheFixture()
        let file = try fixture.cache.open(1, originBytes: 8192)
        _ = try file.truncate(to: 5000)
        _ = try file.truncate(to: 8192)
        #expect(file.missing(in: 0..<8192) == [0..<5000])
        try file.land(pattern(8192), at: 0)
        #expect(try file.readAll(4096..<8192) == Array(pattern(8192)[4096..<5000]) + [UInt8](repeating: 0, count: 3192))
    }

    @Test func landingLeavesWhatIsHereAlone() throws {
        let fixture = try CacheFixture()
        let file = try fixture.cache.open(1, originBytes: 3 * 4096)
        _ = try file.writeAll([UInt8](repeating: 7, count: 4096), at: 4096)
        try file.setModified(Timestamp(seconds: 1000))
        try file.land(pattern(3 * 4096), at: 0)
        #expect(try file.readAll(4096..<8192) == [UInt8](repeating: 7, count: 4096))
        #expect(file.modified == Timestamp(seconds: 1000))
    }

    @Test func aPageMarkedButNotWrittenIsMissingAfterAKill() throws {
        let fixture = try CacheFixture()
        var file = try fixture.cache.open(1, originBytes: 8192)
        _ = try file.writeAll([UInt8](repeating: 7, count: 4096), at: 0)
        file.state.withLock { $0.begin(4096..<8192) }
        try fixture.restart()
        file = try fixture.cache.open(1, originBytes: 8192)
        #expect(file.isDirty && file.missing(in: 0..<8192) == [4096..<8192])
    }

    @Test func aDirtyFileWhoseMapIsBrokenIsSetAside() throws {
        let fixture = try CacheFixture()
        let file = try fixture.cache.open(1, originBytes: 8192)
        _ = try file.writeAll([UInt8](repeating: 7, count: 4096), at: 0)
        _ = try fixture.cache.open(2, originBytes: 2 << 20)
        #expect(truncate(fixture.path(1) + ".map", 100) == 0)
        #expect(truncate(fixture.path(2) + ".map", 100) == 0)
        let scan = try fixture.restart()
        #expect(scan.lost == [1])
        #expect(FileManager.default.fileExists(atPath: fixture.directory + "/lost+found/1"))
        #expect(try fixture.cache.open(2, originBytes: 2 << 20).missing(in: 0..<8192) == [0..<8192])
    }

    @Test func aSmallChangeOfABigFileIsASmallUpload() throws {
        let fixture = try CacheFixture()
        let file = try fixture.cache.create(1)
        let size: Int64 = 8 << 20
        _ = try file.writeAll(pattern(Int(size)), at: 0)
        let first = try file.beginUpload()
        #expect(first.plan(base: nil, baseSizeBytes: 0, granularity: 1 << 20).plan.newBytes == size)
        try file.finishUpload(first, succeeded: true)
        #expect(!file.isDirty && file.isWhole)
        _ = try file.writeAll([1], at: 3 << 20)
        let second = try file.beginUpload()
        let base = UploadPlan.Base(key: "k", etag: ETag("e"))
        let plan = second.plan(base: base, baseSizeBytes: size, granularity: 1 << 20).plan
        #expect(
            plan.segments == [.unchanged(0..<(3 << 20)), .new((3 << 20)..<(4 << 20)), .unchanged((4 << 20)..<size)])
        _ = try file.writeAll([2], at: 0)
        var buffer = [UInt8](repeating: 0, count: 16)
        #expect(throws: StoreError.self) {
            try buffer.withUnsafeMutableBytes { bytes in Result { try second.read(at: 3 << 20, into: bytes) } }.get()
        }
        try file.finishUpload(second, succeeded: true)
        #expect(file.isDirty)
        let third = try file.beginUpload().plan(base: base, baseSizeBytes: size, granularity: 1 << 20).plan
        #expect(third.segments == [.new(0..<(1 << 20)), .unchanged((1 << 20)..<size)])
    }

    @Test func missingPagesCountAsDataWhenSeeking() throws {
        let fixture = try CacheFixture()
        let file = try fixture.cache.open(1, originBytes: 8192)
        #expect(try file.seekData(from: 100) == 100)
        #expect(try file.seekHole(from: 0) == 8192)
        _ = try file.truncate(to: 1 << 20)
        #expect(try file.seekHole(from: 0) == 8192)
        #expect(try file.seekData(from: 8192) == nil)
        #expect(try file.seekHole(from: 2 << 20) == nil)
    }

    @Test func afterPowerLossMissingPagesAreHoles() throws {
        let fixture = try CacheFixture()
        do {
            let file = try fixture.cache.open(1, originBytes: 3 * 4096)
            #expect(try file.writeAll(pattern(4096), at: 0) == .written)
            // What an earlier life wrote there, whose page map is lost.
            let stale = pattern(4096, seed: 9)
            #expect(pwrite(file.backingDescriptor, stale, 4096, 4096) == 4096)
        }
        try fixture.restart(trustClean: false)
        let file = try #require(fixture.cache.existing(1))
        #expect(file.missing(in: 0..<(3 * 4096)) == [4096..<(3 * 4096)])
        var bytes = [UInt8](repeating: 1, count: 4096)
        #expect(pread(file.backingDescriptor, &bytes, 4096, 4096) == 4096)
        #expect(bytes.allSatisfy { $0 == 0 })
    }

    @Test func whatACutTakesIsNotMarkedAsChanged() throws {
        let fixture = try CacheFixture()
        let file = try fixture.cache.open(1, originBytes: 3 * 4096)
        try file.land(pattern(3 * 4096), at: 0)
        #expect(try file.writeAll(pattern(10), at: 0) == .written)
        _ = try file.truncate(to: 4096)
        #expect(file.state.withLock { $0.map?.flags(2) ?? 0 } & PageMap.dirty == 0)
    }

    @Test func readsNeverSeeEvictedPages() throws {
        let fixture = try CacheFixture()
        let content = pattern(64 * 4096)
        let file = try fixture.cache.open(1, originBytes: Int64(content.count))
        let stop = Lock(false)
        let done = DispatchGroup()
        DispatchQueue.global().async(group: done) {
            while !stop.withLock({ $0 }) {
                try? file.land(content, at: 0)
                usleep(300)
                _ = try? file.evict(limit: 1 << 20)
            }
        }
        var read = 0
        var random = SeededGenerator(seed: 1)
        let began = Date()
        // On a busy machine none may fall between a landing and an eviction for a while.
        while read < 1 || Date() < began + 1, Date() < began + 30 {
            let start = Int.random(in: 0..<(60 * 4096), using: &random)
            guard let bytes = try file.readAll(Int64(start)..<Int64(start + 8000)) else { continue }
            read += 1
            if bytes != Array(content[start..<(start + 8000)]) {
                Issue.record("bytes of an evicted page")
                break
            }
        }
        stop.withLock { $0 = true }
        #expect(done.wait(timeout: .now() + 5) == .success)
        #expect(read > 0)
    }
}

@Suite struct EvictionTests {
    @Test func theLeastRecentlyUsedCleanFilesGoAndDirtyOnesStay() throws {
        let fixture = try CacheFixture { $0.limitBytes = 1 << 20 }
        let cache = fixture.cache
        for id in UInt64(1)...4 {
            let file = try cache.open(id, originBytes: 256 << 10)
            try file.land(pattern(256 << 10), at: 0)
            usleep(20_000)
        }
        let dirty = try cache.create(9)
        _ = try dirty.writeAll(pattern(1000), at: 0)
        #expect(cache.usage().files == 5)
        #expect(cache.makeRoom(bytes: 256 << 10, forWriting: false) == .available)
        #expect(cache.existing(1) == nil)
        #expect(try dirty.readAll(0..<1000) == pattern(1000))
        #expect(cache.usage().dirtyBytes == 1000)
    }

    @Test func whenEverythingIsDirtyWritersWait() throws {
        let fixture = try CacheFixture {
            $0.limitBytes = 1 << 20
            $0.maximumDirtyBytes = 1 << 20
        }
        let file = try fixture.cache.create(1)
        _ = try file.writeAll(pattern(1 << 20), at: 0)
        #expect(fixture.cache.makeRoom(bytes: 4096, forWriting: true) == .wait)
        #expect(fixture.cache.makeRoom(bytes: 4096, forWriting: false) == .wait)
        let snapshot = try file.beginUpload()
        try file.finishUpload(snapshot, succeeded: true)
        #expect(fixture.cache.usage().dirtyBytes == 0)
        #expect(fixture.cache.makeRoom(bytes: 4096, forWriting: true) == .available)
        #expect(!file.isWhole)
        fixture.cache.remove(1)
        #expect(fixture.cache.usage().cachedBytes == 0 && fixture.cache.usage().files == 0)
    }

    @Test func aFullDiskIsSaid() throws {
        let fixture = try CacheFixture { $0.reserveBytes = 1 << 60 }
        #expect(fixture.cache.makeRoom(bytes: 4096, forWriting: true) == .diskFull)
    }

    @Test func aRemovedFileCanBeUsedOnAndLeavesNothing() throws {
        let fixture = try CacheFixture()
        let file = try fixture.cache.create(1)
        _ = try file.writeAll(pattern(2 << 20), at: 0)
        let snapshot = try file.beginUpload()
        fixture.cache.remove(1)
        _ = try file.writeAll([1, 2], at: 0)
        try file.finishUpload(snapshot, succeeded: true)
        #expect(try file.readAll(0..<2) == [1, 2])
        #expect(try fixture.restart().files.isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.directory + "/content/01").isEmpty)
    }
}
