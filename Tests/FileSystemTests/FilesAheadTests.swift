import Glibc
import MemoryStore
import Primitives
import Testing

@testable import FileSystem

/// What it costs to go through a directory that the cache knows nothing of.
@Suite(.timeLimit(.minutes(1))) struct FilesAheadTests {
    private let count = 200

    private func name(_ number: Int) -> String { "d/file\(1_000 + number)" }
    private func bytes(_ number: Int) -> [UInt8] {
        (0..<(3_000 + number)).map { UInt8(truncatingIfNeeded: $0 &* number) }
    }

    private func filled() async throws -> Rig {
        let rig = try Rig()
        for number in 0..<count {
            rig.bucket.put(
                ByteString(name(number)), bytes(number), metadata: ["mode": String(S_IFREG | 0o640)])
        }
        _ = try await rig.list("d")
        rig.faulty.clearCalls()
        return rig
    }

    private func calls(_ rig: Rig, _ operation: StoreOperation) -> Int {
        rig.faulty.calls.count { $0.operation == operation }
    }

    /// Waits until nothing is asked for any more.
    private func settle(_ rig: Rig) async throws {
        var before = -1
        while before != rig.faulty.calls.count {
            before = rig.faulty.calls.count
            try await Task.sleep(nanoseconds: 50_000_000)
        }
    }

    @Test func whoReadsAllFilesCostsOneRequestEach() async throws {
        let rig = try await filled()
        for number in 0..<count {
            #expect(try await rig.read(name(number)) == bytes(number))
            #expect(try await rig.attributes(name(number)).mode == S_IFREG | 0o640)
        }
        // The first file's attributes come alone: nobody knew what for.
        #expect(calls(rig, .head) <= 2)
        #expect(calls(rig, .read) == count)
        #expect(calls(rig, .list) == 0)
    }

    @Test func filesAreFetchedAheadOfWhoReadsThem() async throws {
        let rig = try await filled()
        for number in 0..<3 { _ = try await rig.read(name(number)) }
        try await settle(rig)
        #expect(calls(rig, .read) > 8)
        rig.faulty.unplug()
        for number in 0..<8 { #expect(try await rig.read(name(number)) == bytes(number)) }
        rig.faulty.plug()
    }

    @Test func alsoWhereAttributesAreKnown() async throws {
        let rig = try await filled()
        for number in 0..<count { _ = try await rig.attributes(name(number)) }
        try await settle(rig)
        #expect(calls(rig, .head) == count)
        #expect(calls(rig, .read) == 0)
        for number in 0..<3 { _ = try await rig.read(name(number)) }
        try await settle(rig)
        #expect(calls(rig, .read) > 8)
        #expect(calls(rig, .head) == count)
    }

    @Test func whoReadsHereAndThereGetsNothingElse() async throws {
        let rig = try await filled()
        for number in [150, 20, 90, 60, 190, 5, 120] { #expect(try await rig.read(name(number)) == bytes(number)) }
        try await settle(rig)
        #expect(calls(rig, .read) == 7)
        #expect(calls(rig, .head) <= 2)
    }

    @Test func whoLooksAtOneFileAsksForNothingElse() async throws {
        let rig = try await filled()
        _ = try await rig.attributes(name(77))
        try await settle(rig)
        #expect(rig.faulty.calls.count == 1)
    }

    @Test func attributesAreAskedForAheadOfWhoLooksAtAll() async throws {
        let rig = try await filled()
        let underWay = Lock((now: 0, most: 0))
        rig.faulty.onCall(
            Hook { moment in
                underWay.withLock { count in
                    if case .before = moment { count.now += 1 } else { count.now -= 1 }
                    count.most = max(count.most, count.now)
                }
                return nil
            })
        rig.faulty.inject(.stall(milliseconds: 10), on: .head, times: count)
        for number in 0..<count { _ = try await rig.attributes(name(number)) }
        #expect(calls(rig, .head) == count)
        #expect(underWay.withLock { $0.most } > 16)
    }

    @Test func lookingAfterReadingReadsNothing() async throws {
        let rig = try await filled()
        _ = try await rig.read(name(0))
        for number in 100..<count { _ = try await rig.attributes(name(number)) }
        try await settle(rig)
        #expect(calls(rig, .read) <= 3)
    }

    @Test func aVersionThatIsGoneIsNotKept() async throws {
        let rig = try await filled()
        _ = try await rig.read(name(0))
        _ = try await rig.read(name(1))
        try await settle(rig)
        let other = [UInt8](repeating: 9, count: 17)
        rig.bucket.put(ByteString(name(150)), other)
        rig.bucket.remove(ByteString(name(151)))
        // It may fail; it may not give the wrong bytes.
        let read = try? await rig.read(name(150))
        #expect(read == nil || read == other)
        #expect((try? await rig.read(name(151))) == nil)
    }

    @Test func aSymbolicLinkIsNoFile() async throws {
        let rig = try await filled()
        let target = [UInt8]("elsewhere".utf8)
        rig.bucket.put("d/file1002", target, metadata: ["mode": String(S_IFLNK | 0o777)])
        try await rig.fs.satisfy(.listing(try await rig.node("d")))
        _ = try await rig.read(name(0))
        _ = try await rig.read(name(1))
        let link = try await rig.node(name(2))
        #expect(try await rig.run { fs throws(Failure) in try fs.readLink(link) } == "elsewhere")
        #expect(try await rig.read(name(3)) == bytes(3))
    }

    @Test func largeFilesAreLeftAlone() async throws {
        let rig = try await filled()
        let large = [UInt8](repeating: 1, count: 1 << 20)
        for number in 2..<20 { rig.bucket.put(ByteString(name(number)), large) }
        try await rig.fs.satisfy(.listing(try await rig.node("d")))
        rig.faulty.clearCalls()
        _ = try await rig.read(name(0))
        _ = try await rig.read(name(1))
        try await settle(rig)
        #expect(calls(rig, .read) == 2)
    }
}
