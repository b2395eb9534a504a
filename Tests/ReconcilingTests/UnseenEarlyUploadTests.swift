import Glibc
import MemoryStore
import ObjectStore
import Primitives
import Testing

@testable import BlockCache
@testable import Reconciling
@testable import Tree

/// Large files that others write past the daemon are sent while they are still being written.
@Suite(.timeLimit(.minutes(2))) struct UnseenEarlyUploadTests {
    private static let part = Int(BlockDigests.blockBytes)

    /// A file that is written through its backing file, and looked at now and then.
    private struct Writer {
        let session: Session
        let id: NodeID
        let file: CachedFile
        var text: [UInt8] = []

        init(_ session: Session, _ path: String, isUnseen: Bool = true) throws {
            self.session = session
            id = try session.make(path, "")
            file = try session.content(try session.tree.node(id)!)
            file.beginWriting()
            if isUnseen { try beginUnseen() }
        }

        func beginUnseen() throws { try file.beginUnseen(modified: file.modified) }

        mutating func write(_ bytes: [UInt8], at offset: Int) throws {
            note(bytes, offset)
            #expect(pwrite(file.backingDescriptor, bytes, bytes.count, off_t(offset)) == bytes.count)
            try look()
        }

        mutating func note(_ bytes: [UInt8], _ offset: Int) {
            let missing = offset + bytes.count - text.count
            if missing > 0 { text += [UInt8](repeating: 0, count: missing) }
            text.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        }

        func look() throws { if try file.noticeUnseen() != nil { try session.tree.touchContent(id) } }

        mutating func goOn(until condition: () -> Bool) async throws {
            for number in 0..<20_000 where !condition() {
                try write([UInt8(number & 0xff)], at: text.count)
                await SystemTime().sleep(milliseconds: 1)
            }
            #expect(condition())
        }

        func close() throws {
            file.endWriting()
            if try file.endUnseen() != nil { try session.tree.touchContent(id) }
            try session.tree.settle(
                id, sizeBytes: file.sizeBytes, modified: file.modified, changed: file.modified)
        }
    }

    private func bench() throws -> Bench {
        try Bench(.init(delayMilliseconds: 100_000, earlyPartBytes: Int64(Self.part)))
    }

    /// Uploads begin when the file has its first parts: nobody sees it empty.
    private func begun(_ bench: Bench, _ bytes: [UInt8], at offset: Int = 0) async throws -> Writer {
        let session = try await bench.open(starts: false)
        var writer = try Writer(session, "big")
        try writer.write(bytes, at: offset)
        session.reconciler.start(afterCrash: false)
        return writer
    }

    /// Each part another. Made quickly: what runs beside it must get its turn.
    private func parts(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count * Self.part) { buffer, filled in
            for number in 0..<count { memset(buffer.baseAddress! + number * Self.part, Int32(number + 1), Self.part) }
            filled = count * Self.part
        }
    }

    private func sendings(_ bench: Bench) -> Int { bench.memory.startedWrites.withLock { $0.first?.sendings ?? 0 } }

    @Test func partsGoAheadAndTheRestFollows() async throws {
        let bench = try bench()
        var writer = try await begun(bench, parts(10))
        try await writer.goOn { sendings(bench) >= 10 }
        #expect(bench.memory.snapshot().isEmpty)
        try writer.close()
        try await writer.session.drain()
        let started = bench.memory.startedWrites.withLock { $0 }
        #expect(started.count == 1 && started[0].isEnded && started[0].sendings == 10)
        #expect(bench.memory.object("big")?.bytes == writer.text)
        #expect(!writer.file.isDirty && writer.file.knowsDigests)
        // The object was made from the parts, and then got its attributes.
        #expect(bench.store.calls.map(\.operation).filter { $0 != .capabilities } == [.write, .write, .copy])
        await writer.session.die()
    }

    @Test func whatIsWrittenAgainAfterItWasSentIsSentWithTheRest() async throws {
        let bench = try bench()
        var writer = try await begun(bench, parts(10))
        try await writer.goOn { sendings(bench) >= 10 }
        try writer.write(Array("changed".utf8), at: Self.part + 100)
        try writer.write([7], at: 9 * Self.part - 1)
        try writer.close()
        try await writer.session.drain()
        #expect(bench.memory.object("big")?.bytes == writer.text)
        #expect(bench.memory.startedWrites.withLock { $0.count == 1 && $0[0].isEnded })
        await writer.session.die()
    }

    @Test func storesToMappedMemoryAreNotMissed() async throws {
        let bench = try bench()
        var writer = try await begun(bench, parts(10))
        let map = try #require(
            mmap(nil, Self.part, PROT_READ | PROT_WRITE, MAP_SHARED, writer.file.backingDescriptor, 0))
        try await writer.goOn { sendings(bench) >= 10 }
        map.storeBytes(of: 77, toByteOffset: 5_000, as: UInt8.self)
        writer.note([77], 5_000)
        munmap(map, Self.part)
        try writer.close()
        try await writer.session.drain()
        #expect(bench.memory.object("big")?.bytes == writer.text)
        await writer.session.die()
    }

    @Test func aFileThatIsCutHasNothingBeyondItsEnd() async throws {
        let bench = try bench()
        var writer = try await begun(bench, parts(12))
        try await writer.goOn { sendings(bench) >= 12 }
        let end = 9 * Self.part + 5
        #expect(ftruncate(writer.file.backingDescriptor, off_t(end)) == 0)
        writer.text.removeLast(writer.text.count - end)
        try writer.write(Array("end".utf8), at: end + 100_000)
        try writer.close()
        try await writer.session.drain()
        #expect(bench.memory.object("big")?.bytes == writer.text)
        await writer.session.die()
    }

    @Test func aFileWithHolesWaits() async throws {
        let bench = try bench()
        var writer = try await begun(bench, [1], at: 12 * Self.part)
        for _ in 0..<200 {
            try writer.write([2], at: 12 * Self.part)
            await SystemTime().sleep(milliseconds: 1)
        }
        #expect(sendings(bench) == 0)
        try writer.close()
        try await writer.session.drain()
        #expect(bench.memory.object("big")?.bytes == writer.text)
        await writer.session.die()
    }

    /// Changes of the parts were followed when they were sent, and are not any more when the file is written again.
    @Test func aFileThatWasFollowedAndIsWrittenUnseenIsSentAnew() async throws {
        let bench = try bench()
        let session = try await bench.open(starts: false)
        var writer = try Writer(session, "big", isUnseen: false)
        let bytes = parts(10)
        try session.write(bytes, to: writer.file, at: 0)
        try session.tree.touchContent(writer.id)
        session.reconciler.start(afterCrash: false)
        writer.note(bytes, 0)
        for _ in 0..<5_000 where sendings(bench) < 10 {
            try session.write([1], to: writer.file, at: Int64(writer.text.count))
            writer.note([1], writer.text.count)
            await SystemTime().sleep(milliseconds: 1)
        }
        #expect(sendings(bench) >= 10)
        try writer.beginUnseen()
        try writer.write(Array("changed".utf8), at: Self.part + 100)
        try writer.close()
        try await writer.session.drain()
        #expect(bench.memory.object("big")?.bytes == writer.text)
        await writer.session.die()
    }

    @Test func aDeathMeanwhileLosesNothing() async throws {
        let bench = try bench()
        let text = try await writeAndDie(on: bench)
        let next = try await bench.open(afterCrash: true)
        #expect(bench.memory.snapshot().isEmpty)
        let node = try next.node("big")
        let file = try next.content(node)
        try file.resumeUnseen(recorded: ContentStamp(sizeBytes: node.sizeBytes, modified: node.modified))
        _ = try file.endUnseen()
        try await next.drain()
        #expect(bench.memory.object("big")?.bytes == text)
        await next.die()
    }

    private func writeAndDie(on bench: Bench) async throws -> [UInt8] {
        var writer = try await begun(bench, parts(10))
        try await writer.goOn { sendings(bench) >= 5 }
        await writer.session.die()
        return writer.text
    }
}
