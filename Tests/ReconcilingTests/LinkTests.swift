import ObjectStore
import Primitives
import Testing

@testable import Reconciling
@testable import Tree

/// A file with several names is several objects, and one file on every machine.
@Suite struct LinkTests {
    /// The bench's bucket holds `a`, `d/b` and `c`, names of one file.
    private func linked(_ bench: Bench) async throws -> Session {
        let session = try await bench.open()
        try session.make("a", "shared")
        try session.makeDirectory("d")
        try session.link("a", to: "d/b")
        try session.link("a", to: "c")
        try await session.drain()
        return session
    }

    private func elsewhere(_ bench: Bench, _ place: String = "2") async throws -> Session {
        let other = try await bench.open(place)
        try await other.lookAtAll()
        return other
    }

    @Test func anotherMachineSeesOneFile() async throws {
        let bench = try Bench()
        let session = try await linked(bench)
        let other = try await elsewhere(bench)
        let node = try other.node("a")
        #expect(try other.node("d/b") == node)
        #expect(try other.node("c") == node)
        #expect(node.links == 3 && node.linkCount == 3)
        #expect(try node.changed == session.node("a").changed)
        #expect(try other.tree.backlog().isEmpty, "looking changes nothing")
        await session.die()
        await other.die()
    }

    @Test func theCountIsRightBeforeTheOtherNamesAreKnown() async throws {
        let bench = try Bench()
        let session = try await linked(bench)
        let other = try await bench.open("2")
        try await other.discovery.list(.root)
        try await other.discovery.attributes(try other.node("a").id)
        #expect(try other.node("a").linkCount == 3)
        #expect(try other.node("a").links == 1)
        await session.die()
        await other.die()
    }

    @Test func aChangeOnAnotherMachineReachesAllNames() async throws {
        let bench = try Bench()
        let session = try await linked(bench)
        let other = try await elsewhere(bench)
        try other.write(try other.node("d/b").id, "changed there")
        try other.chmod("c", 0o600)
        try await other.drain()
        #expect(bench.bucket.filter { $0.key != "d/" }.values.allSatisfy { $0 == "changed there" })
        try await session.lookAtAll()
        let node = try session.node("a")
        #expect(try session.node("d/b").id == node.id && session.node("c").id == node.id)
        #expect(node.linkCount == 3 && node.mode == 0o100600)
        #expect(try await session.read("c") == "changed there")
        await session.die()
        await other.die()
    }

    @Test func namesComeAndGo() async throws {
        let bench = try Bench()
        let session = try await linked(bench)
        try session.unlink("c")
        try session.rename("a", to: "d/a")
        try await session.drain()
        var other = try await elsewhere(bench)
        #expect(try other.node("d/a").linkCount == 2)
        #expect(try other.node("d/a").id == other.node("d/b").id)
        try other.unlink("d/b")
        try await other.drain()
        await other.die()
        other = try await elsewhere(bench, "3")
        #expect(try other.node("d/a").linkCount == 1)
        #expect(bench.metadata("d/a")["pail-link"] == nil)
        await session.die()
        await other.die()
    }

    @Test func anotherToolsVersionIsAFileOfItsOwn() async throws {
        let bench = try Bench()
        let session = try await linked(bench)
        bench.memory.put("c", Array("theirs".utf8))
        // A tool that copies takes the metadata along.
        bench.memory.put("copy", Array("shared".utf8), metadata: bench.metadata("a"))
        try await session.lookAtAll()
        #expect(try await session.read("c") == "theirs")
        #expect(try session.node("a").id == session.node("d/b").id)
        #expect(try session.node("a").linkCount == 2)
        #expect(try session.node("copy").linkCount == 1)
        try session.write(try session.node("a").id, "mine")
        try await session.drain()
        #expect(bench.bucket == ["a": "mine", "d/": "", "d/b": "mine", "c": "theirs", "copy": "shared"])
        await session.die()
    }

    private func dieHalfway(_ session: Session) async throws {
        session.lifeline.cut(after: 1, carryingOutLast: true)
        try session.write(try session.node("a").id, "newer")
        for _ in 0..<2_000 where !session.lifeline.isCut { await SystemTime().sleep(milliseconds: 1) }
        await session.die()
    }

    /// The machine that changed the file is gone before all names had the new content: they are not mixed up.
    @Test func aSetThatIsBehindIsNotJoined() async throws {
        let bench = try Bench()
        try await dieHalfway(linked(bench))
        let other = try await elsewhere(bench)
        let contents = [try await other.read("a"), try await other.read("d/b"), try await other.read("c")]
        #expect(contents.filter { $0 == "newer" }.count == 1 && contents.filter { $0 == "shared" }.count == 2)
        await other.die()
        let back = try await bench.open(afterCrash: true)
        try await back.drain()
        let later = try await elsewhere(bench, "3")
        #expect(try later.node("a").links == 3)
        #expect(try await later.read("c") == "newer")
        await back.die()
        await later.die()
    }

    @Test func changesOfOneFileOnTwoMachinesAreBothKept() async throws {
        let bench = try Bench(.init(delayMilliseconds: 2_000))
        let session = try await linked(bench)
        let other = try await elsewhere(bench)
        try session.write(try session.node("a").id, "one")
        try other.write(try other.node("a").id, "two")
        try await session.drain()
        try await other.drain()
        #expect(Set(bench.bucket.values).isSuperset(of: ["one", "two"]))
        await session.die()
        await other.die()
    }

    @Test func symbolicLinksAndPipesHaveSeveralNamesToo() async throws {
        let bench = try Bench()
        let session = try await bench.open()
        try session.symlink("s", to: "target")
        try session.link("s", to: "t")
        try await session.drain()
        let other = try await elsewhere(bench)
        #expect(try other.node("s") == other.node("t"))
        #expect(try other.node("s").links == 2 && other.node("t").target == "target")
        await session.die()
        await other.die()
    }

    @Test func contentIsNotSafeWhileOnlyARemovedNameHasIt() async throws {
        let bench = try Bench()
        do {
            let session = try await bench.open()
            let node = try session.make("a", "one")
            try session.link("a", to: "b")
            try await session.drain()
            session.lifeline.afterNextWrite.withLock { next in
                next = {
                    bench.store.unplug()
                    for name in ["a", "b"] where bench.bucket[name] == "two" { try? session.unlink(name) }
                }
            }
            try session.write(node, "two")
            for _ in 0..<2_000 where try session.reconciler.status().failing == 0 {
                await SystemTime().sleep(milliseconds: 1)
            }
            #expect(try #require(session.cache.existing(node.raw)).isDirty)
            await session.die()
        }
        bench.store.plug()
        let session = try await bench.open(afterCrash: true)
        try await session.drain()
        #expect(Array(bench.bucket.values) == ["two"])
        await session.die()
    }
}
