import MemoryStore
import ObjectStore
import Primitives
import Testing

@testable import BlockCache
@testable import Reconciling
@testable import Tree

/// Large files are sent while they are still being written.
@Suite(.timeLimit(.minutes(2))) struct EarlyUploadTests {
    private static let part: Int64 = 64 << 10

    /// A file of which more and more is written, in a row.
    private struct Writer {
        let session: Session
        let id: NodeID
        let file: CachedFile
        var text: [UInt8] = []

        init(_ session: Session, _ path: String) throws {
            self.session = session
            id = try session.make(path, "")
            file = try session.content(try session.tree.node(id)!)
            file.beginWriting()
        }

        mutating func write(_ bytes: [UInt8], at offset: Int) throws {
            let missing = offset + bytes.count - text.count
            if missing > 0 { text += [UInt8](repeating: 0, count: missing) }
            text.replaceSubrange(offset..<offset + bytes.count, with: bytes)
            try session.write(bytes, to: file, at: Int64(offset))
            try session.tree.touchContent(id)
        }

        /// Goes on writing at the end until the condition holds.
        mutating func goOn(until condition: () -> Bool) async throws {
            for number in 0..<20_000 where !condition() {
                try write([UInt8(number & 0xff)], at: text.count)
                await SystemTime().sleep(milliseconds: 1)
            }
            #expect(condition())
        }

        func close() throws {
            file.endWriting()
            try session.tree.settle(
                id, sizeBytes: file.sizeBytes, modified: file.modified, changed: file.modified)
        }
    }

    private func bench() throws -> Bench {
        // 2 s on the clock of the bench: a test that doesn't get its turn for that long has let the file rest.
        try Bench(.init(delayMilliseconds: 100_000, earlyPartBytes: Self.part))
    }

    private func parts(_ count: Int) -> [UInt8] {
        (0..<count * Int(Self.part)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    }

    @Test func partsGoAheadAndNobodySeesThemBeforeTheFileIsWhole() async throws {
        let bench = try bench()
        let session = try await bench.open()
        var writer = try Writer(session, "big")
        try writer.write(parts(5), at: 0)
        try await writer.goOn { bench.memory.startedWrites.withLock { $0.first?.sendings ?? 0 } >= 5 }
        #expect(bench.memory.snapshot().isEmpty)
        try writer.close()
        try await session.drain()
        let started = bench.memory.startedWrites.withLock { $0 }
        #expect(started.count == 1 && started[0].isEnded && started[0].sendings == 5)
        #expect(bench.memory.object("big")?.bytes == writer.text)
        #expect(bench.metadata("big")["mtime"] == AttributeMapping.text(try session.node("big").modified))
        #expect(!writer.file.isDirty)
        // The rest and the attributes.
        #expect(bench.store.calls.map(\.operation).filter { $0 != .capabilities } == [.write, .write, .copy])
        await session.die()
    }

    @Test func aPartThatIsWrittenAgainIsSentAgain() async throws {
        let bench = try bench()
        let session = try await bench.open()
        var writer = try Writer(session, "big")
        try writer.write(parts(4), at: 0)
        try await writer.goOn { bench.memory.startedWrites.withLock { $0.first?.sendings ?? 0 } >= 4 }
        try writer.write(Array("changed".utf8), at: Int(Self.part) + 100)
        try await writer.goOn { bench.memory.startedWrites.withLock { $0[0].sendings } >= 5 }
        // Too late for another round: this one goes with the rest.
        try writer.write(Array("once more".utf8), at: 7)
        try writer.close()
        try await session.drain()
        #expect(bench.memory.object("big")?.bytes == writer.text)
        #expect(bench.memory.startedWrites.withLock { $0.count } == 1)
        await session.die()
    }

    @Test func aFileThatIsCutHasNothingOfWhatWasSentBeyondItsEnd() async throws {
        let bench = try bench()
        let session = try await bench.open()
        var writer = try Writer(session, "big")
        try writer.write(parts(6), at: 0)
        try await writer.goOn { bench.memory.startedWrites.withLock { $0.first?.sendings ?? 0 } >= 6 }
        let end = Int(Self.part) * 2 + 5
        try writer.file.truncate(to: Int64(end))
        try session.tree.touchContent(writer.id)
        writer.text.removeLast(writer.text.count - end)
        try writer.write(Array("end".utf8), at: end + 100_000)
        try writer.close()
        try await session.drain()
        #expect(bench.memory.object("big")?.bytes == writer.text)
        await session.die()
    }

    @Test func whatWasSentOfARemovedFileIsTakenBack() async throws {
        let bench = try bench()
        let session = try await bench.open()
        var writer = try Writer(session, "big")
        try writer.write(parts(4), at: 0)
        try await writer.goOn { bench.memory.startedWrites.withLock { $0.first?.sendings ?? 0 } >= 4 }
        try session.unlink("big")
        session.cache.setNameless(writer.file, true)
        try await session.drain()
        for _ in 0..<5_000 where !bench.memory.startedWrites.withLock({ $0[0].isEnded }) {
            await SystemTime().sleep(milliseconds: 1)
        }
        #expect(bench.memory.startedWrites.withLock { $0[0].isEnded })
        #expect(bench.memory.snapshot().isEmpty)
        await session.die()
    }

    @Test func aRenamedFileIsSentAnew() async throws {
        let bench = try bench()
        let session = try await bench.open()
        var writer = try Writer(session, "big")
        try writer.write(parts(4), at: 0)
        try await writer.goOn { bench.memory.startedWrites.withLock { $0.first?.sendings ?? 0 } >= 4 }
        try session.rename("big", to: "other")
        try writer.close()
        try await session.drain()
        #expect(bench.memory.snapshot().map(\.info.key) == ["other"])
        #expect(bench.memory.object("other")?.bytes == writer.text)
        #expect(bench.memory.startedWrites.withLock { $0.allSatisfy(\.isEnded) })
        await session.die()
    }

    @Test func aDeathMeanwhileLosesNothing() async throws {
        let bench = try bench()
        let text = try await writeAndDie(on: bench)
        let next = try await bench.open(afterCrash: true)
        #expect(bench.memory.snapshot().isEmpty)
        try await next.drain()
        #expect(bench.memory.object("big")?.bytes == text)
        await next.die()
    }

    private func writeAndDie(on bench: Bench) async throws -> [UInt8] {
        let session = try await bench.open()
        var writer = try Writer(session, "big")
        try writer.write(parts(4), at: 0)
        try await writer.goOn { bench.memory.startedWrites.withLock { $0.first?.sendings ?? 0 } >= 3 }
        await session.die()
        return writer.text
    }

    @Test func anObjectOfSomebodyElseIsKept() async throws {
        let bench = try bench()
        let session = try await bench.open()
        var writer = try Writer(session, "big")
        try writer.write(parts(4), at: 0)
        try await writer.goOn { bench.memory.startedWrites.withLock { $0.first?.sendings ?? 0 } >= 4 }
        bench.memory.put("big", Array("theirs".utf8))
        try writer.close()
        try await session.drain()
        #expect(bench.memory.object("big")?.bytes == Array("theirs".utf8))
        #expect(bench.memory.snapshot().contains { $0.bytes == writer.text })
        await session.die()
    }
}
