import BlockCache
import Foundation
import Primitives
import Testing
import Tree

@testable import FileSystem

/// What a kernel does with files that it may read and write by itself.
private final class Kernel: Sendable {
    private struct State {
        var files: [Int32: Int32] = [:]
        var last: Int32 = 0
    }

    private let state = Lock(State())

    func attach(to fs: FileSystem, isChosen: Bool = true) {
        fs.passThrough(
            BackingFiles(
                isChosen: isChosen,
                open: { file in
                    self.state.withLock { state in
                        state.last += 1
                        state.files[state.last] = Glibc.open("/proc/self/fd/\(file)", O_RDWR)
                        return state.last
                    }
                },
                close: { id in
                    if let file = self.state.withLock({ $0.files.removeValue(forKey: id) }) { Glibc.close(file) }
                }))
    }

    var open: Int { state.withLock { $0.files.count } }

    func allocate(_ id: Int32, _ bytes: Int64) {
        #expect(posix_fallocate(state.withLock { $0.files[id] } ?? -1, 0, off_t(bytes)) == 0)
    }

    func write(_ id: Int32, _ bytes: [UInt8], at offset: Int64 = 0) {
        let file = state.withLock { $0.files[id] } ?? -1
        #expect(pwrite(file, bytes, bytes.count, off_t(offset)) == bytes.count)
    }
}

extension Route {
    fileprivate var id: Int32? { if case .kernel(let id) = self { id } else { nil } }
}

@Suite(.timeLimit(.minutes(1))) struct PassingTests {
    private func made(_ rig: Rig, _ name: String, _ flags: Int32 = O_RDWR) async throws -> Opened {
        try await rig.run { fs throws(Failure) in
            try fs.create(.root, ByteString(name), mode: 0o644, flags: flags, rig.caller)
        }.1
    }

    private func open(_ rig: Rig, _ name: String, _ flags: Int32) async throws -> Opened {
        let node = try await rig.node(name)
        return try await rig.run { fs throws(Failure) in try fs.open(node, flags: flags, rig.caller) }
    }

    @Test func withoutItRequestsComeHere() async throws {
        let rig = try Rig()
        let opened = try await made(rig, "a")
        #expect(opened.route == .daemon)
        try await rig.close(opened.handle)
    }

    @Test func whatTheKernelWritesGoesUp() async throws {
        let rig = try Rig()
        let kernel = Kernel()
        kernel.attach(to: rig.fs)
        let opened = try await made(rig, "a", O_WRONLY)
        kernel.write(try #require(opened.route.id), Array("data".utf8))
        #expect(try await rig.attributes("a").sizeBytes == 4)
        #expect(try await rig.attributes("a").isVolatile)
        try await rig.close(opened.handle)
        #expect(kernel.open == 0)
        #expect(try await !rig.attributes("a").isVolatile)
        try await rig.drain()
        #expect(rig.objects() == ["a": Array("data".utf8)])
    }

    @Test func allHandlesOfAFileGoOneWay() async throws {
        let rig = try Rig()
        let kernel = Kernel()
        let early = try await made(rig, "a")
        kernel.attach(to: rig.fs)
        // As long as one has it that was opened through us, all are.
        let second = try await open(rig, "a", O_RDONLY)
        #expect(early.route == .daemon && second.route == .daemon)
        try await rig.close(early.handle)
        #expect(try await open(rig, "a", O_RDONLY).route == .daemon)
        let other = try await made(rig, "b")
        let id = try #require(other.route.id)
        for flags in [O_RDONLY, O_WRONLY, O_RDWR] { #expect(try await open(rig, "b", flags).route == .kernel(id)) }
        #expect(kernel.open == 1)
    }

    @Test func largeFilesAreWrittenThroughUs() async throws {
        let rig = try Rig()
        let kernel = Kernel()
        let bytes = [UInt8](repeating: 7, count: Int(FileSystem.wholeBytes) + 1)
        rig.bucket.put("a", bytes)
        _ = try await rig.read("a")
        kernel.attach(to: rig.fs)
        let first = try await open(rig, "a", O_WRONLY)
        #expect(first.route == .daemon)
        try await rig.close(first.handle)
        let reader = try await open(rig, "a", O_RDONLY)
        let id = try #require(reader.route.id)
        let writer = try await open(rig, "a", O_WRONLY)
        #expect(writer.route == .both(id))
        try await rig.write(writer.handle, [1], at: 0)
        try await rig.close(writer.handle)
        try await rig.close(reader.handle)
        try await rig.drain()
        #expect(rig.objects()["a"]?.prefix(2) == [1, 7])
    }

    /// Once it is known what the bucket has: what changes is found then.
    @Test func largeFilesThatAreKnownAreNotFollowed() async throws {
        let rig = try Rig()
        let kernel = Kernel()
        var bytes = [UInt8](repeating: 7, count: Int(FileSystem.wholeBytes) * 2)
        rig.bucket.put("a", bytes)
        _ = try await rig.read("a")
        kernel.attach(to: rig.fs)
        // Only who opens it so while others read it past us waits until it is known.
        let reader = try await open(rig, "a", O_RDONLY)
        let writer = try await open(rig, "a", O_RDWR)
        #expect(writer.route == reader.route)
        try await rig.close(reader.handle)
        try await rig.close(writer.handle)
        let again = try await open(rig, "a", O_WRONLY)
        kernel.write(try #require(again.route.id), [1], at: 5)
        try await rig.close(again.handle)
        try await rig.drain()
        bytes[5] = 1
        #expect(rig.objects()["a"] == bytes)
    }

    /// Nobody can tell what the bucket has while that takes long.
    @Test func aLargeFileIsOpenedDuringItsUpload() async throws {
        let rig = try Rig()
        let kernel = Kernel()
        var bytes = [UInt8](repeating: 7, count: Int(FileSystem.wholeBytes) * 2)
        rig.bucket.put("a", bytes)
        _ = try await rig.read("a")
        kernel.attach(to: rig.fs)
        let reader = try await open(rig, "a", O_RDONLY)
        let file = try #require(rig.cache.existing(try await rig.node("a").raw))
        let upload = try file.beginUpload()
        let writer = try await open(rig, "a", O_RDWR)
        kernel.write(try #require(writer.route.id), [1], at: 5)
        try file.finishUpload(upload, succeeded: false)
        for opened in [reader, writer] { try await rig.close(opened.handle) }
        try await rig.drain()
        bytes[5] = 1
        #expect(rig.objects()["a"] == bytes)
    }

    /// Nobody holds up who writes past us: so none more may when the limits are near.
    @Test func whoComesWhenRoomIsShortIsFollowed() async throws {
        let (limit, growth): (Int64, Int64) = (40 << 20, 39 << 20)
        let rig = try Rig(cacheLimit: (bytes: limit, dirtyBytes: FileSystem.unseenDirtyBytes + (32 << 20)))
        let kernel = Kernel()
        kernel.attach(to: rig.fs)
        rig.bucket.put("clean", [UInt8](repeating: 1, count: 4 << 20))
        _ = try await rig.read("clean")
        let first = try await made(rig, "first", O_WRONLY)
        try await rig.close(try await made(rig, "second", O_WRONLY).handle)
        let node = try await rig.node("second")
        rig.faulty.unplug()
        kernel.allocate(try #require(first.route.id), growth)
        // The looks come by themselves, and make room of what is clean.
        for _ in 0..<1000 where !(growth...limit).contains(rig.cache.heldBytes) { usleep(20_000) }
        #expect((growth...limit).contains(rig.cache.heldBytes))
        #expect(rig.cache.usage().dirtyBytes >= growth)
        let second = try await rig.run { fs throws(Failure) in try fs.open(node, flags: O_WRONLY, rig.caller) }
        #expect(second.route == .daemon)
        for opened in [first, second] { try await rig.close(opened.handle) }
    }

    @Test func partsAreFetchedThroughUs() async throws {
        let rig = try Rig()
        Kernel().attach(to: rig.fs)
        rig.bucket.put("a", [UInt8](repeating: 1, count: 10_000))
        #expect(try await open(rig, "a", O_RDONLY).route == .daemon)
    }

    /// Of a log that grows all the time only the end is uploaded each time.
    @Test func whatIsAppendedIsFollowed() async throws {
        let rig = try Rig()
        Kernel().attach(to: rig.fs)
        let log = try await made(rig, "log", O_WRONLY | O_APPEND)
        #expect(log.route == .daemon)
        let other = try await made(rig, "other", O_WRONLY)
        let id = try #require(other.route.id)
        #expect(try await open(rig, "other", O_WRONLY | O_APPEND).route == .both(id))
    }

    @Test func setIdBitsAreSeenToHere() async throws {
        let rig = try Rig()
        Kernel().attach(to: rig.fs)
        let opened = try await rig.run { fs throws(Failure) in
            try fs.create(.root, "a", mode: 0o4755, flags: O_WRONLY, rig.caller)
        }.1
        #expect(opened.route == .daemon)
    }

    @Test func notChosenIsOnlyWhatHasToBe() async throws {
        let rig = try Rig()
        let kernel = Kernel()
        kernel.attach(to: rig.fs)
        let opened = try await made(rig, "a")
        kernel.attach(to: rig.fs, isChosen: false)
        #expect(try await open(rig, "a", O_RDONLY).route == opened.route)
        #expect(try await made(rig, "b").route == .daemon)
    }

    @Test func whatWasWrittenBeforeADeathGoesUp() async throws {
        let rig = try Rig()
        let kernel = Kernel()
        kernel.attach(to: rig.fs)
        try await rig.write("old", Array("before".utf8))
        try await rig.drain()
        let old = try await open(rig, "old", O_RDWR)
        let new = try await made(rig, "new")
        kernel.write(try #require(old.route.id), Array("AFTER!".utf8))
        kernel.write(try #require(new.route.id), Array("new".utf8))
        try await rig.kill()
        rig.fs.resume()
        // And after it, until the program closes the file.
        kernel.write(try #require(new.route.id), Array("er".utf8), at: 3)
        rig.fs.lookAtAll()
        try await rig.drain()
        #expect(rig.objects() == ["old": Array("AFTER!".utf8), "new": Array("newer".utf8)])
    }

    /// Uploaded and clean, then written past us, then the death: the content is another size than the bucket's.
    @Test func whatWasAddedToACleanFileBeforeADeathGoesUp() async throws {
        let rig = try Rig()
        let kernel = Kernel()
        kernel.attach(to: rig.fs)
        let opened = try await made(rig, "a")
        kernel.write(try #require(opened.route.id), Array("sent".utf8))
        rig.fs.lookAtAll()
        try await rig.drain()
        #expect(rig.objects() == ["a": Array("sent".utf8)])
        kernel.write(try #require(opened.route.id), Array(" and more".utf8), at: 4)
        try await rig.kill()
        rig.fs.resume()
        #expect(try await rig.read("a") == Array("sent and more".utf8))
        rig.fs.lookAtAll()
        try await rig.drain()
        #expect(rig.objects() == ["a": Array("sent and more".utf8)])
    }

    /// What nobody has written can be fetched again; whether it ever reached the disk is unknown.
    @Test func afterPowerLossOnlyWhatWasWrittenCounts() async throws {
        let rig = try Rig()
        let kernel = Kernel()
        kernel.attach(to: rig.fs)
        for name in ["same", "other"] { try await rig.write(name, Array("before".utf8)) }
        try await rig.drain()
        let same = try await rig.node("same")
        _ = try await open(rig, "same", O_RDWR)
        let other = try await open(rig, "other", O_RDWR)
        kernel.write(try #require(other.route.id), Array("AFTER!".utf8))
        try await rig.kill(powerLoss: true)
        #expect(rig.cache.existing(same.raw) == nil)
        rig.fs.resume()
        #expect(try await rig.read("same") == Array("before".utf8))
        #expect(try await rig.read("other") == Array("AFTER!".utf8))
        try await rig.drain()
        #expect(rig.objects() == ["same": Array("before".utf8), "other": Array("AFTER!".utf8)])
    }

    @Test func theNextProcessKnowsHowFilesAreOpen() throws {
        let references = try KernelReferences()
        let first = try #require(references.openFiles.add(.init(node: NodeID(7), backing: 0, handles: 2)))
        let second = try #require(references.openFiles.add(.init(node: NodeID(8), backing: 3, handles: 1)))
        references.openFiles.set(second, .init(node: NodeID(8), backing: 3, handles: 4))
        let third = try #require(references.openFiles.add(.init(node: NodeID(9), backing: 4, handles: 1)))
        references.openFiles.remove(first)
        let next = try KernelReferences(of: dup(references.descriptor))
        #expect(next.openFiles.former.map(\.slot) == [second, third])
        #expect(next.openFiles.former.map(\.entry.node) == [NodeID(8), NodeID(9)])
        #expect(next.openFiles.former.first?.entry == .init(node: NodeID(8), backing: 3, handles: 4))
        #expect(next.openFiles.add(.init(node: NodeID(10), backing: 0, handles: 1)) == first)
    }
}
