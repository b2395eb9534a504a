import FileSystem
import Foundation
import MemoryStore
import Primitives
import Testing
import Tree

@Suite(.timeLimit(.minutes(1))) struct FileTests {
    @Test func aWrittenFileBecomesAPlainObject() async throws {
        let rig = try Rig()
        try await rig.makeDirectory("a")
        try await rig.write("a/b.txt", Array("hello".utf8))
        #expect(try await rig.read("a/b.txt") == Array("hello".utf8))
        try await rig.drain()
        #expect(rig.objects() == ["a/b.txt": Array("hello".utf8)])
        let info = try #require(rig.bucket.object("a/b.txt")).info
        #expect(info.metadata?["mode"] == "33188")
        #expect(info.metadata?["uid"] == "1000")
        #expect(rig.bucket.object("a/") != nil)
    }

    @Test func aFileWithoutContentIsNotMade() async throws {
        let rig = try Rig()
        let next = try rig.tree.highestNode().raw + 1
        let shard = rig.directory + "/content/" + (next < 16 ? "0" : "") + String(next, radix: 16)
        try FileManager.default.removeItem(atPath: shard)
        #expect(await fails(ENOENT) { try await rig.write("f", [1]) })
        try FileManager.default.createDirectory(atPath: shard, withIntermediateDirectories: false)
        #expect(try await rig.list("").isEmpty)
        try await rig.drain()
        #expect(rig.objects().isEmpty)
    }

    @Test func whatHasNoNameIsNotWaitedFor() async throws {
        let rig = try Rig()
        try await rig.write("f", [UInt8](repeating: 1, count: 1 << 20))
        let node = try await rig.node("f")
        let handle = try await rig.run { fs throws(Failure) in try fs.open(node, flags: O_RDWR, rig.caller) }.handle
        try await rig.write(handle, [UInt8](repeating: 2, count: 1 << 20), at: 1 << 20)
        #expect(rig.cache.usage().dirtyBytes > 0)
        try await rig.remove("f")
        #expect(rig.cache.usage().dirtyBytes == 0)
        try await rig.write(handle, [UInt8](repeating: 3, count: 1 << 20), at: 2 << 20)
        #expect(rig.cache.usage().dirtyBytes == 0)
        let entry = try await rig.run { fs throws(Failure) in try fs.link(node, to: .root, "again", rig.caller) }
        rig.fs.forget(entry.attributes.node, 1)
        #expect(rig.cache.usage().dirtyBytes >= 3 << 20)
        try await rig.close(handle)
        try await rig.drain()
        #expect(rig.objects()["again"]?.count == 3 << 20)
        #expect(rig.cache.usage().dirtyBytes == 0)
    }

    @Test func objectsOfOthersAreSeen() async throws {
        let rig = try Rig()
        rig.bucket.put("x/y/z.bin", Array("deep".utf8))
        rig.bucket.put("top", Array("top".utf8))
        #expect(try await rig.list("") == ["top", "x"])
        #expect(try await rig.list("x") == ["y"])
        #expect(try await rig.read("x/y/z.bin") == Array("deep".utf8))
        #expect(await fails(ENOENT) { _ = try await rig.read("x/nothing") })
    }

    @Test func overwritesAppendsAndTruncations() async throws {
        let rig = try Rig()
        try await rig.write("f", Array("0123456789".utf8))
        try await rig.drain()
        try await rig.write("f", Array("AB".utf8), at: 4, truncate: false)
        #expect(try await rig.read("f") == Array("0123AB6789".utf8))
        try await rig.drain()
        #expect(rig.objects()["f"] == Array("0123AB6789".utf8))
        let node = try await rig.node("f")
        var change = AttributeChange()
        change.sizeBytes = 3
        let cut = change
        _ = try await rig.run { fs throws(Failure) in
            try fs.setAttributes(node, cut, handle: nil, rig.caller)
        }
        try await rig.drain()
        #expect(rig.objects()["f"] == Array("012".utf8))
    }

    @Test func renamesMoveObjects() async throws {
        let rig = try Rig()
        try await rig.makeDirectory("d")
        for index in 0..<20 { try await rig.write("d/\(index)", [UInt8(index)]) }
        try await rig.drain()
        try await rig.rename("d", "e")
        #expect(try await rig.list("") == ["e"])
        #expect(try await rig.read("e/7") == [7])
        try await rig.drain()
        #expect(rig.objects().count == 20)
        #expect(rig.objects()["e/7"] == [7])
        #expect(rig.bucket.object("d/") == nil)
        try await rig.rename("e/1", "e/2", flags: 2)
        try await rig.drain()
        #expect(rig.objects()["e/1"] == [2])
        #expect(rig.objects()["e/2"] == [1])
        #expect(!rig.bucket.snapshot().contains { $0.info.key.description.hasPrefix(".pail/") })
    }

    @Test func aDirectoryNeverListedMovesWhole() async throws {
        let rig = try Rig()
        for index in 0..<30 { rig.bucket.put(ByteString("old/sub\(index % 3)/\(index)"), [UInt8(index)]) }
        try await rig.rename("old", "new")
        try await rig.write("new/more", [99])
        #expect(try await rig.read("new/sub1/4") == [4])
        try await rig.drain()
        #expect(rig.objects().count == 31)
        #expect(rig.objects()["new/sub2/29"] == [29])
    }

    @Test func deletionsReachTheBucket() async throws {
        let rig = try Rig()
        try await rig.makeDirectory("d")
        try await rig.write("d/a", [1])
        try await rig.drain()
        #expect(await fails(ENOTEMPTY) { try await rig.removeDirectory("d") })
        try await rig.remove("d/a")
        try await rig.removeDirectory("d")
        try await rig.drain()
        #expect(rig.bucket.snapshot().isEmpty)
        #expect(try await rig.list("") == [])
    }

    @Test func whatWasAcknowledgedIsUploadedAfterAKill() async throws {
        let rig = try Rig()
        rig.faulty.unplug()
        rig.bucket.put("there", [0])
        rig.faulty.plug()
        #expect(try await rig.read("there") == [0])
        #expect(try await rig.list("") == ["there"])
        rig.faulty.unplug()
        try await rig.write("new", Array(repeating: 7, count: 100_000))
        try await rig.rename("there", "moved")
        try await rig.kill()
        #expect(try await rig.read("new").count == 100_000)
        try await rig.drain()
        #expect(rig.objects() == ["new": Array(repeating: 7, count: 100_000), "moved": [0]])
    }

    @Test func aRemoteChangeUnderALocalEditMakesAConflictCopy() async throws {
        let rig = try Rig()
        try await rig.write("doc.txt", Array("base".utf8))
        try await rig.drain()
        rig.faulty.unplug()
        try await rig.write("doc.txt", Array("mine".utf8))
        rig.faulty.plug()
        rig.bucket.put("doc.txt", Array("theirs".utf8))
        try await rig.drain()
        let objects = rig.objects()
        #expect(objects["doc.txt"] == Array("theirs".utf8))
        let copy = try #require(objects.keys.first { $0.hasPrefix("doc.conflict-") })
        #expect(objects[copy] == Array("mine".utf8))
        #expect(try await rig.read("doc.txt") == Array("theirs".utf8))
    }

    @Test func remoteNewsAreSeenAfterTheRefreshTime() async throws {
        let rig = try Rig(refreshMilliseconds: 500)
        rig.bucket.put("f", Array("one".utf8))
        #expect(try await rig.read("f") == Array("one".utf8))
        rig.bucket.put("f", Array("two!".utf8))
        rig.bucket.put("g", [1])
        try await Task.sleep(nanoseconds: 700_000_000)
        #expect(try await rig.read("f") == Array("two!".utf8))
        #expect(try await rig.list("") == ["f", "g"])
        rig.bucket.remove("g")
        try await Task.sleep(nanoseconds: 700_000_000)
        #expect(try await rig.list("") == ["f"])
    }

    @Test func anUnlinkedOpenFileKeepsItsContent() async throws {
        let rig = try Rig()
        rig.bucket.put("big", Array(repeating: 5, count: 1 << 20))
        let node = try await rig.node("big")
        let opened = try await rig.run { fs throws(Failure) in try fs.open(node, flags: O_RDWR, rig.caller) }
        try await rig.remove("big")
        #expect(await fails(ENOENT) { _ = try await rig.node("big") })
        #expect(try await rig.read(opened.handle, 500_000..<500_010) == Array(repeating: 5, count: 10))
        try await rig.close(opened.handle)
        try await rig.drain()
        #expect(rig.bucket.snapshot().isEmpty)
    }

    @Test func hardLinksAreOneFileAndSeveralObjects() async throws {
        let rig = try Rig()
        try await rig.write("a", Array("one".utf8))
        let node = try await rig.node("a")
        let linked = try await rig.run { fs throws(Failure) in try fs.link(node, to: .root, "b", rig.caller) }
        rig.fs.forget(linked.attributes.node, 1)
        #expect(linked.attributes.links == 2)
        try await rig.drain()
        #expect(rig.objects() == ["a": Array("one".utf8), "b": Array("one".utf8)])
        try await rig.write("b", Array("both".utf8))
        #expect(try await rig.read("a") == Array("both".utf8))
        try await rig.drain()
        #expect(rig.objects() == ["a": Array("both".utf8), "b": Array("both".utf8)])
        try await rig.remove("a")
        try await rig.drain()
        #expect(rig.objects() == ["b": Array("both".utf8)])
    }

    @Test func attributesSurviveAnEmptiedCache() async throws {
        let bucket = MemoryStore()
        let rig = try Rig(bucket: bucket)
        try await rig.write("f", [1, 2, 3])
        let node = try await rig.node("f")
        var change = AttributeChange()
        change.mode = 0o600
        change.modified = .at(Timestamp(seconds: 1_000, nanoseconds: 123_456_789))
        let wanted = change
        _ = try await rig.run { fs throws(Failure) in try fs.setAttributes(node, wanted, handle: nil, rig.caller) }
        try await rig.run { fs throws(Failure) in
            try fs.setExtendedAttribute(node, name: "user.k", value: Array("v".utf8), flags: 0, rig.caller)
        }
        let link = try await rig.run { fs throws(Failure) in
            try fs.makeSymlink(.root, "l", target: "f", rig.caller)
        }
        rig.fs.forget(link.attributes.node, 1)
        try await rig.drain()
        let other = try Rig(bucket: bucket)
        let seen = try await other.attributes("f")
        #expect(seen.mode & 0o7777 == 0o600)
        #expect(seen.modified == Timestamp(seconds: 1_000, nanoseconds: 123_456_789))
        let there = try await other.node("f")
        #expect(
            try await other.run { fs throws(Failure) in try fs.getExtendedAttribute(there, "user.k") }
                == Array("v".utf8))
        let linkNode = try await other.node("l")
        #expect(try await other.run { fs throws(Failure) in try fs.readLink(linkNode) } == "f")
    }

    @Test func aLinkTakesThePlaceOfTheNameItWasMadeFrom() async throws {
        let rig = try Rig()
        rig.bucket.put("f", Array(repeating: 3, count: 300_000))
        let node = try await rig.node("f")
        let linked = try await rig.run { fs throws(Failure) in try fs.link(node, to: .root, "g", rig.caller) }
        rig.fs.forget(linked.attributes.node, 1)
        try await rig.remove("f")
        try await rig.write("g", [9], at: 100, truncate: false)
        try await rig.rename("g", "f")
        try await rig.drain()
        var expected = [UInt8](repeating: 3, count: 300_000)
        expected[100] = 9
        #expect(rig.objects() == ["f": expected])
    }
}
