import ObjectStore
import Primitives
import Testing

@testable import Reconciling
@testable import Tree

/// Moves that get in each other's way, stores that fail, and others who write to the same bucket.
@Suite struct TroubleTests {
    @Test func aRingOfNamesIsBroken() async throws {
        let bench = try Bench()
        let session = try await bench.open()
        for name in ["a", "b", "c"] { try session.make(name, name + name) }
        try await session.drain()
        try session.exchange("a", with: "b")
        try session.exchange("b", with: "c")
        try await session.drain()
        #expect(bench.bucket == ["a": "bb", "b": "cc", "c": "aa"])
        await session.die()
    }

    @Test func aDirectoryNobodyLookedIntoMovesWhole() async throws {
        let bench = try Bench()
        for key: ByteString in ["d/x", "d/e/y", "d/e/f/z"] { bench.memory.put(key, key.bytes) }
        let session = try await bench.open()
        try await session.discovery.list(.root)
        try session.rename("d", to: "new")
        try session.makeDirectory("d")
        try session.make("d/x", "fresh")
        try await session.drain()
        #expect(
            bench.bucket.filter { !$0.key.hasSuffix("/") }
                == ["new/x": "d/x", "new/e/y": "d/e/y", "new/e/f/z": "d/e/f/z", "d/x": "fresh"])
        await session.die()
    }

    @Test func whatMovesUnseenKeepsItsAttributes() async throws {
        let bench = try Bench()
        bench.memory.put("d/x", [1], metadata: ["mode": "33152", "mtime": "1.000000002"], contentType: "text/html")
        bench.memory.put("d/s", Array("target".utf8), metadata: ["mode": String(0o120777)])
        bench.memory.put("d/e/", [], metadata: ["mode": String(0o041770), "uid": "7"])
        let session = try await bench.open()
        try await session.discovery.list(.root)
        try session.rename("d", to: "new")
        try await session.drain()
        #expect(bench.metadata("new/x")["mode"] == "33152" && bench.metadata("new/x")["mtime"] == "1.000000002")
        #expect(bench.memory.object("new/x")?.info.contentType == "text/html")
        #expect(bench.metadata("new/s")["mode"] == String(0o120777))
        #expect(bench.metadata("new/e/")["mode"] == String(0o041770) && bench.metadata("new/e/")["uid"] == "7")
        await session.die()
    }

    @Test func aWriteWhoseAnswerIsLostIsNotDoneTwice() async throws {
        let bench = try Bench()
        let session = try await bench.open()
        bench.store.inject(.loseReply(.timedOut), on: .write)
        try session.make("a", "once")
        try await session.drain()
        #expect(bench.bucket == ["a": "once"])
        await session.die()
    }

    @Test func anUnpluggedStoreLosesNothing() async throws {
        let bench = try Bench()
        let session = try await bench.open()
        bench.store.unplug()
        try session.make("a", "kept")
        await SystemTime().sleep(milliseconds: 20)
        try session.rename("a", to: "b")
        #expect(try await session.read("b") == "kept")
        bench.store.plug()
        try await session.drain()
        #expect(bench.bucket == ["b": "kept"])
        await session.die()
    }

    @Test func aRemoteChangeUnderALocalOneIsKept() async throws {
        let bench = try Bench()
        let session = try await bench.open()
        let id = try session.make("a.txt", "base")
        try await session.drain()
        bench.memory.put("a.txt", Array("theirs".utf8))
        try session.write(id, "mine")
        try await session.drain()
        let bucket = bench.bucket
        #expect(bucket["a.txt"] == "theirs")
        let copies = bucket.filter { $0.key.hasPrefix("a.conflict-") && $0.key.hasSuffix(".txt") }
        #expect(copies.map(\.value) == ["mine"])
        #expect(bucket.count == 2)
        await session.die()
    }

    @Test func aRemoteDeletionUnderALocalChangeIsUndone() async throws {
        let bench = try Bench()
        let session = try await bench.open()
        let id = try session.make("a", "base")
        try await session.drain()
        bench.memory.remove("a")
        try session.write(id, "mine")
        try await session.drain()
        #expect(bench.bucket == ["a": "mine"])
        await session.die()
    }

    @Test func aWriteThatIsOvertakenWhereThereAreNoConditionsIsKept() async throws {
        var capabilities = StoreCapabilities()
        capabilities.writesIfAbsent = false
        capabilities.writesIfMatch = false
        let bench = try Bench(.init(capabilities: capabilities))
        let session = try await bench.open()
        let id = try session.make("a", "base")
        try await session.drain()
        session.lifeline.afterNextWrite.withLock { [memory = bench.memory] in
            $0 = { memory.put("a", Array("theirs".utf8)) }
        }
        try session.write(id, "mine")
        try await session.drain()
        #expect(bench.bucket["a"] == "theirs")
        #expect(bench.bucket.filter { $0.key.hasPrefix("a.conflict-") }.map(\.value) == ["mine"])
        await session.die()
    }

    /// A program opens a file, the bucket's version changes, and then the program writes.
    @Test func aWriteToAReplacedVersionIsKeptBesideTheNewOne() async throws {
        let bench = try Bench()
        bench.memory.put("a.txt", Array("base".utf8))
        let session = try await bench.open()
        try await session.discovery.list(.root)
        let id = try session.node("a.txt").id
        #expect(try await session.read("a.txt") == "base")
        bench.memory.put("a.txt", Array("theirs".utf8))
        try await session.discovery.list(.root)
        #expect(try session.node("a.txt").id != id)
        try session.write(id, "mine")
        try await session.drain()
        #expect(bench.bucket["a.txt"] == "theirs")
        #expect(bench.bucket.filter { $0.key.hasPrefix("a.conflict-") }.map(\.value) == ["mine"])
        #expect(bench.bucket.count == 2)
        #expect(try await session.read("a.txt") == "theirs")
        await session.die()
    }

    @Test func aWriteToADeletedVersionMakesItAgain() async throws {
        let bench = try Bench()
        bench.memory.put("a", Array("base".utf8))
        let session = try await bench.open()
        try await session.discovery.list(.root)
        let id = try session.node("a").id
        bench.memory.remove("a")
        try await session.discovery.list(.root)
        #expect(try session.find("a") == nil)
        try session.write(id, "mine")
        try await session.drain()
        #expect(bench.bucket == ["a": "mine"])
        await session.die()
    }

    @Test func aWriteToAReplacedVersionOfAChangedFileGetsANameBesideIt() async throws {
        let bench = try Bench(.init(delayMilliseconds: 5_000))
        bench.memory.put("a", Array("base".utf8))
        let session = try await bench.open()
        try await session.discovery.list(.root)
        let id = try session.node("a").id
        bench.memory.put("a", Array("theirs".utf8))
        try await session.discovery.list(.root)
        try session.write(try session.node("a").id, "over theirs")
        try session.write(id, "over base")
        try await session.drain()
        #expect(bench.bucket == ["a": "over theirs", "a.conflict": "over base"])
        await session.die()
    }

    @Test func aForeignObjectIsNotDeletedWithOurs() async throws {
        let bench = try Bench()
        let session = try await bench.open()
        try session.make("a", "ours")
        try await session.drain()
        bench.memory.put("a", Array("theirs".utf8))
        try session.unlink("a")
        try await session.drain()
        #expect(bench.bucket == ["a": "theirs"])
        await session.die()
    }

    @Test(arguments: [false, true]) func deathInTheMiddleOfAMove(_ isCarriedOut: Bool) async throws {
        let bench = try Bench()
        do {
            let session = try await bench.open()
            try session.makeDirectory("d")
            for name in ["x", "y", "z"] { try session.make("d/" + name, name) }
            try await session.drain()
            session.lifeline.cut(after: 3, carryingOutLast: isCarriedOut)
            try session.rename("d", to: "e")
            for _ in 0..<2_000 where !session.lifeline.isCut { await SystemTime().sleep(milliseconds: 1) }
            await session.die()
        }
        let session = try await bench.open(afterCrash: true)
        try await session.drain()
        #expect(bench.bucket == ["e/": "", "e/x": "x", "e/y": "y", "e/z": "z"])
        await session.die()
    }

    @Test func whatWasNotUploadedIsAfterTheNextStart() async throws {
        let bench = try Bench()
        do {
            let session = try await bench.open(starts: false)
            try session.make("a", "not yet sent")
            await session.die()
        }
        let session = try await bench.open(afterCrash: true, trustClean: false)
        #expect(session.recovered.changedFiles == 1)
        try await session.drain()
        #expect(bench.bucket == ["a": "not yet sent"])
        await session.die()
    }
}

extension TroubleTests {
    @Test func whatALinkStillReadsIsNotOverwritten() async throws {
        let bench = try Bench(.init(delayMilliseconds: 5_000))
        bench.memory.put("b", Array("only there".utf8))
        let session = try await bench.open()
        try await session.discovery.list(.root)
        try session.link("b", to: "kept")
        try session.make("new", "over it")
        try session.rename("new", to: "b")
        try await session.drain()
        #expect(bench.bucket == ["b": "over it", "kept": "only there"])
        await session.die()
    }
}
