import Foundation
import ObjectStore
import Primitives
import Testing

@testable import BlockCache

/// Files that others write to past the cache.
@Suite struct UnseenTests {
    private func fixture() throws -> CacheFixture { try CacheFixture { $0.tickMilliseconds = 0 } }

    /// A clean, whole file.
    private func clean(_ fixture: CacheFixture, _ bytes: [UInt8]) throws -> CachedFile {
        let file = try fixture.cache.open(1, originBytes: Int64(bytes.count))
        try file.land(bytes, at: 0)
        #expect(file.isWhole && !file.isDirty)
        return file
    }

    /// As the kernel does for a program.
    private func writeUnseen(_ fixture: CacheFixture, _ bytes: [UInt8], at offset: Int64) throws {
        let descriptor = open(fixture.path(1), O_WRONLY)
        defer { close(descriptor) }
        #expect(pwrite(descriptor, bytes, bytes.count, off_t(offset)) == bytes.count)
    }

    private func rest() { usleep(60_000) }

    @Test func changesAreNoticedOnce() throws {
        let fixture = try fixture()
        let file = try clean(fixture, pattern(10_000))
        let recorded = Timestamp(seconds: 1_000_000, nanoseconds: 5)
        try file.beginUnseen(modified: recorded)
        #expect(try file.noticeUnseen() == nil && !file.isDirty && file.modified == recorded)
        try writeUnseen(fixture, [1, 2, 3], at: 9_999)
        let noticed = try file.noticeUnseen()
        let changed = try #require(noticed)
        #expect(changed == file.modified && changed > recorded && file.isDirty && file.sizeBytes == 10_002)
        #expect(try file.noticeUnseen() == nil)
        try writeUnseen(fixture, [4], at: 0)
        #expect(try file.endUnseen() == file.modified)
        #expect(!file.isUnseen && file.isDirty)
    }

    @Test func whatWasNotWrittenIsCleanAgain() throws {
        let fixture = try fixture()
        let file = try clean(fixture, pattern(10_000))
        try file.beginUnseen(modified: Timestamp(seconds: 5))
        #expect(try file.endUnseen() == nil && !file.isDirty)
    }

    /// What was written before is not to be seen in the time any more.
    @Test func anotherTimeCountsAsAChange() throws {
        let fixture = try fixture()
        let file = try clean(fixture, pattern(10_000))
        try file.beginUnseen(modified: Timestamp(seconds: 5))
        try writeUnseen(fixture, [1], at: 20_000)
        try file.restamp(Timestamp(seconds: 5))
        #expect(file.isDirty && file.modified == Timestamp(seconds: 5))
        #expect(try file.endUnseen() == nil && file.isDirty)
    }

    @Test func theDiskSaysSoAfterADeath() throws {
        let fixture = try fixture()
        var file: CachedFile? = try clean(fixture, pattern(10_000))
        try file?.beginUnseen(modified: Timestamp(seconds: 5))
        file = nil
        let scan = try fixture.restart()
        #expect(scan.files.map(\.isUnseen) == [true] && fixture.cache.unseenAtStart == [1])
        let again = try fixture.cache.open(1, originBytes: 10_000)
        try writeUnseen(fixture, [1], at: 0)
        try again.resumeUnseen(recorded: ContentStamp(sizeBytes: 10_000, modified: Timestamp(seconds: 5)))
        #expect(try again.noticeUnseen() != nil && again.isDirty)
    }

    @Test func nothingOfItIsEvicted() throws {
        let fixture = try fixture()
        let file = try clean(fixture, pattern(100_000))
        try file.beginUnseen(modified: .zero)
        #expect(fixture.cache.evict(bytes: 1 << 20) == 0)
        _ = try file.endUnseen()
        let reader = open(fixture.path(1), O_RDONLY)
        #expect(file.isOpenElsewhere && fixture.cache.evict(bytes: 1 << 20) == 0)
        close(reader)
        #expect(!file.isOpenElsewhere && fixture.cache.evict(bytes: 1 << 20) > 0)
    }

    @Test func anUploadIsOfOneState() throws {
        let fixture = try fixture()
        let file = try clean(fixture, pattern(10_000))
        try file.beginUnseen(modified: .zero)
        try writeUnseen(fixture, [1], at: 0)
        // Nobody has looked.
        #expect(throws: CacheError.self) { try file.beginUpload() }
        _ = try file.noticeUnseen()
        // It is being written.
        #expect(throws: CacheError.self) { try file.beginUpload() }
        rest()
        let snapshot = try file.beginUpload()
        var room = [UInt8](repeating: 0, count: 100)
        try room.withUnsafeMutableBytes { try snapshot.read(at: 0, into: $0) }
        try writeUnseen(fixture, [2], at: 5_000)
        #expect(throws: StoreError.self) { try room.withUnsafeMutableBytes { try snapshot.read(at: 0, into: $0) } }
        try file.finishUpload(snapshot, succeeded: true)
        #expect(file.isDirty)
        _ = try file.noticeUnseen()
        rest()
        let second = try file.beginUpload()
        try file.finishUpload(second, succeeded: true)
        #expect(!file.isDirty && file.isUnseen)
    }

    /// The time of a change is that of its beginning.
    @Test func anUploadWaitsForTheEndOfAWrite() throws {
        let fixture = try fixture()
        let size = 256 << 20
        let file = try fixture.cache.create(1)
        try file.truncate(to: Int64(size))
        try file.beginUnseen(modified: .zero)
        let before = file.modified
        let descriptor = open(fixture.path(1), O_WRONLY)
        defer { close(descriptor) }
        let writer = Thread {
            let ones = [UInt8](repeating: 1, count: size / 512)
            ones.withUnsafeBytes { bytes in
                let part = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
                _ = pwritev(descriptor, [iovec](repeating: part, count: 512), 512, 0)
            }
        }
        writer.start()
        while file.modified == before { usleep(100) }
        #expect(try file.noticeUnseen() != nil)
        rest()
        let snapshot = try file.beginUpload()
        var last: [UInt8] = [0]
        try last.withUnsafeMutableBytes { try snapshot.read(at: Int64(size) - 1, into: $0) }
        #expect(last == [1])
    }

    /// What was written after the snapshot, and seen only at the end.
    @Test func aChangeDuringTheLastUploadIsNotTakenForSent() throws {
        let fixture = try fixture()
        let file = try clean(fixture, pattern(3 << 20))
        try file.beginUnseen(modified: .zero)
        try writeUnseen(fixture, [1], at: 0)
        _ = try file.noticeUnseen()
        rest()
        let snapshot = try file.beginUpload()
        try writeUnseen(fixture, [2], at: 2 << 20)
        #expect(try file.endUnseen() != nil)
        try file.finishUpload(snapshot, succeeded: true)
        let next = try file.beginUpload()
        #expect(
            file.isDirty && next.plan(base: base, baseSizeBytes: 3 << 20, granularity: 4096).plan.newBytes == 3 << 20)
    }

    private var base: UploadPlan.Base { UploadPlan.Base(key: "k", etag: ETag("1")) }

    private func compared(_ file: CachedFile) async throws -> Snapshot {
        try await file.compared(file.beginUpload(), withDigests: false)
    }

    private func newBytes(_ snapshot: Snapshot) -> Int64 {
        snapshot.plan(base: base, baseSizeBytes: snapshot.sizeBytes, granularity: 1 << 20).plan.newBytes
    }

    @Test(arguments: [true, false])
    func ofALargeFileOnlyWhatChangedIsNew(_ isOpen: Bool) async throws {
        let fixture = try fixture()
        let file = try clean(fixture, pattern(20 << 20))
        #expect(!file.knowsDigests)
        try await file.learnDigests()
        #expect(file.knowsDigests)
        try file.beginUnseen(modified: .zero)
        try writeUnseen(fixture, [1], at: 7 << 20)
        if isOpen { _ = try file.noticeUnseen() } else { _ = try file.endUnseen() }
        rest()
        let snapshot = try await compared(file)
        #expect(newBytes(snapshot) == 1 << 20)
        try file.finishUpload(snapshot, succeeded: true)
        #expect(!file.isDirty)
        guard isOpen else { return }
        try writeUnseen(fixture, [2], at: 15 << 20)
        _ = try file.noticeUnseen()
        rest()
        #expect(newBytes(try await compared(file)) == 1 << 20)
    }

    /// The bucket may have what was not known to be sent: what is as it was before counts as new then.
    @Test(arguments: [true, false])
    func afterAFailureWhatWasTriedIsNew(_ dies: Bool) async throws {
        let fixture = try fixture()
        let bytes = pattern(20 << 20)
        var file: CachedFile! = try clean(fixture, bytes)
        try await file.learnDigests()
        try file.beginUnseen(modified: .zero)
        try writeUnseen(fixture, [bytes[7 << 20] ^ 1], at: 7 << 20)
        _ = try file.noticeUnseen()
        rest()
        let failed = try await compared(file)
        if dies {
            file = nil
            try fixture.restart()
            file = try fixture.cache.open(1, originBytes: 20 << 20)
            try file.resumeUnseen(recorded: ContentStamp(sizeBytes: 20 << 20, modified: .zero))
        } else {
            try file.finishUpload(failed, succeeded: false)
        }
        try writeUnseen(fixture, [bytes[7 << 20]], at: 7 << 20)
        _ = try file.noticeUnseen()
        rest()
        #expect(newBytes(try await compared(file)) == 1 << 20)
    }

    /// What is known survives the death of the process, but not that of the machine.
    @Test(arguments: [true, false])
    func digestsAreKeptBesideTheContent(_ trustClean: Bool) async throws {
        let fixture = try fixture()
        var file: CachedFile! = try clean(fixture, pattern(20 << 20))
        try await file.learnDigests()
        try file.beginUnseen(modified: .zero)
        try writeUnseen(fixture, [1], at: 7 << 20)
        file = nil
        try fixture.restart(trustClean: trustClean)
        file = try fixture.cache.open(1, originBytes: 20 << 20)
        try file.resumeUnseen(recorded: ContentStamp(sizeBytes: 20 << 20, modified: .zero))
        _ = try file.noticeUnseen()
        rest()
        #expect(newBytes(try await compared(file)) == (trustClean ? 1 << 20 : 20 << 20))
    }

    @Test func damagedDigestsAreNotUsed() async throws {
        let fixture = try fixture()
        var file: CachedFile! = try clean(fixture, pattern(20 << 20))
        try await file.learnDigests()
        let path = file.digestsPath
        file = nil
        try fixture.restart()
        for place in [0, 9, 17, 21, 30] {
            let descriptor = open(path, O_RDWR)
            var byte: UInt8 = 0
            #expect(pread(descriptor, &byte, 1, off_t(place)) == 1)
            byte ^= 4
            #expect(pwrite(descriptor, &byte, 1, off_t(place)) == 1)
            #expect(DigestFile.load(path) == nil)
            byte ^= 4
            #expect(pwrite(descriptor, &byte, 1, off_t(place)) == 1)
            close(descriptor)
        }
        #expect(DigestFile.load(path) != nil)
        truncate(path, 100)
        #expect(try !fixture.cache.open(1, originBytes: 20 << 20).knowsDigests)
        fixture.cache.remove(1)
        #expect(access(path, F_OK) != 0)
    }

    /// What is learnt of a file that is written through us meanwhile, and is not in the bucket yet.
    @Test func whatIsChangedAlreadyIsNotLearnt() async throws {
        let fixture = try fixture()
        let file = try clean(fixture, pattern(20 << 20))
        _ = try file.writeAll([1], at: 3 << 20)
        try await file.learnDigests()
        try file.beginUnseen(modified: .zero)
        try writeUnseen(fixture, [1], at: 7 << 20)
        _ = try file.noticeUnseen()
        rest()
        #expect(newBytes(try await compared(file)) == 2 << 20)
    }

    /// An upload of what was followed changes what the bucket has.
    @Test func anotherUploadMakesDigestsUseless() async throws {
        let fixture = try fixture()
        let file = try clean(fixture, pattern(20 << 20))
        try await file.learnDigests()
        _ = try file.writeAll([1], at: 3 << 20)
        let snapshot = try await compared(file)
        #expect(newBytes(snapshot) == 1 << 20 && DigestFile.load(file.digestsPath) == nil)
        try file.finishUpload(snapshot, succeeded: true)
        #expect(!file.knowsDigests)
        fixture.cache.learnDigests()
        _ = try file.writeAll([2], at: 3 << 20)
        try file.finishUpload(try await compared(file), succeeded: true)
        for _ in 0..<1000 where !file.knowsDigests { usleep(5000) }
        #expect(file.knowsDigests)
    }

    /// Where the clock is coarse, a second change may have the time of the first.
    @Test func aRecentTimeTellsNothing() throws {
        let fixture = try CacheFixture { $0.tickMilliseconds = 20 }
        let file = try clean(fixture, pattern(10_000))
        try file.beginUnseen(modified: Timestamp(seconds: 5))
        #expect(try file.noticeUnseen() == nil)
        try writeUnseen(fixture, [1], at: 0)
        #expect(try file.noticeUnseen() != nil)
        #expect(try file.noticeUnseen() != nil)
        usleep(30_000)
        #expect(try file.noticeUnseen() != nil)
        #expect(try file.noticeUnseen() == nil)
    }

    @Test func theDiskIsTried() throws {
        let fixture = try fixture()
        let disk = try ContentDisk(of: fixture.directory)
        #expect(disk.tellsUsers && disk.stackDepth == 0)
    }

    /// On the disk that temporary files are on, if it tells stores to mapped memory at all.
    @Test func storesShowAfterTheirPagesWereWrittenBack() throws {
        let path = NSTemporaryDirectory() + "pail-stores-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let disk = try ContentDisk(of: path)
        guard disk.tickMilliseconds == 0 else { return }
        let descriptor = open(path + "/a", O_RDWR | O_CREAT, 0o600)
        defer { close(descriptor) }
        let pages = 4096
        #expect(ftruncate(descriptor, off_t(pages * 4096)) == 0)
        let map = try #require(mmap(nil, pages * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0))
        defer { munmap(map, pages * 4096) }
        func modified() -> Timestamp {
            var status = stat()
            fstat(descriptor, &status)
            return Timestamp(status.st_mtim)
        }
        for round in 1..<UInt8(5) {
            for page in 0..<pages { map.storeBytes(of: round, toByteOffset: page * 4096, as: UInt8.self) }
            while try !disk.writeBack.protect(descriptor, path) { usleep(1000) }
            for page in stride(from: 0, to: pages, by: 97) {
                let before = modified()
                map.storeBytes(of: round + 100, toByteOffset: page * 4096, as: UInt8.self)
                #expect(modified() > before)
            }
        }
    }
}
