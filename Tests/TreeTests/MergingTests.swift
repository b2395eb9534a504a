import ObjectStore
import Primitives
import Testing

@testable import Tree

/// What becomes of the tree when the bucket is looked at.
@Suite struct MergingTests {
    @Test func aListingBringsFilesAndDirectories() throws {
        let fixture = try Fixture()
        let events = try fixture.list([("a", "1"), ("b", "2")], prefixes: ["d/"])
        #expect(try fixture.names() == ["a", "b", "d"])
        // The kernel keeps no missing names, and a new one must not disturb who looked it up just now.
        #expect(events.isEmpty)
        #expect(try fixture.tree.find(.root, "a")?.node.isKnown == false)
        #expect(try fixture.tree.find(.root, "d")?.node.prefix == "d/")
        #expect(try fixture.tree.node(.root)?.listed == Fixture.now)
        #expect(try fixture.tree.backlog().isEmpty)
        #expect(try fixture.list([("a", "1"), ("b", "2")], prefixes: ["d/"]).isEmpty)
    }

    @Test func anotherVersionIsAnotherNode() throws {
        let fixture = try Fixture()
        try fixture.list([("a", "1")])
        let old = try #require(try fixture.tree.find(.root, "a")).node.id
        let events = try fixture.list([("a", "2")])
        let new = try #require(try fixture.tree.find(.root, "a")).node
        #expect(new.id != old)
        #expect(new.origin?.etag == ETag("2"))
        #expect(events.contains(.orphan(old)))
    }

    @Test func localChangesAreLeftAlone() throws {
        let fixture = try Fixture()
        try fixture.list([("a", "1"), ("b", "1")])
        let node = try #require(try fixture.tree.find(.root, "a")).node.id
        try fixture.tree.touchContent(node)
        let other = try #require(try fixture.tree.find(.root, "b")).node.id
        try fixture.tree.update(other, forBucket: true) { $0.mode = 0o100600 }
        try fixture.list([("a", "2"), ("b", "2")])
        #expect(try fixture.tree.find(.root, "a")?.node.id == node)
        #expect(try fixture.tree.find(.root, "b")?.node.id == other)
    }

    @Test func whatVanishedGoesUnlessItWasChanged() throws {
        let fixture = try Fixture()
        try fixture.list([("a", "1"), ("b", "1")], prefixes: ["d/"])
        let node = try #require(try fixture.tree.find(.root, "b")).node.id
        try fixture.tree.touchContent(node)
        try fixture.list([])
        #expect(try fixture.names() == ["b"])
        let name = try #require(try fixture.tree.find(.root, "b")).name.id
        #expect(try fixture.tree.situation(of: name)?.held == nil)
        #expect(try fixture.tree.backlog().names == 1)
    }

    @Test func anOlderListingJudgesNothingNewer() throws {
        let fixture = try Fixture()
        let before = try fixture.tree.sequence()
        let name = try fixture.file("a").name.id
        try fixture.upload(name)
        try fixture.list([], since: before)
        #expect(try fixture.names() == ["a"])
        try fixture.list([("a", "old")], since: before)
        #expect(try fixture.tree.held(by: name)?.etag == ETag("\"1\""))
    }

    @Test func anOlderListingBringsNothingBack() throws {
        let fixture = try Fixture()
        let name = try fixture.file("a").name.id
        try fixture.upload(name, tag: "1")
        let folder = try fixture.folder("d").name.id
        try fixture.upload(folder, tag: "1")
        let before = try fixture.tree.sequence()
        _ = try fixture.unlink("a")
        _ = try fixture.tree.removeDirectory(.root, "d", now: Fixture.now)
        try fixture.list([("a", "1")], prefixes: ["d/"])
        #expect(try fixture.names().isEmpty)
        try fixture.tree.release("a", etag: ETag("1"))
        try fixture.tree.release("d/", etag: ETag("1"))
        try fixture.list([("a", "1")], prefixes: ["d/"], since: before)
        #expect(try fixture.names().isEmpty)
        try fixture.list([("a", "1")], prefixes: ["d/"])
        #expect(try fixture.names() == ["a", "d"])
    }

    @Test func keysWithAnOpenWriteAreNotJudged() throws {
        let fixture = try Fixture()
        let made = try fixture.file("a")
        let attempt = Attempt(
            key: "a", tag: fixture.tree.newTag(), name: made.name.id, node: made.node.id, content: 1, attributes: 1)
        try fixture.tree.begin(attempt)
        try fixture.list([("a", "x")])
        #expect(try fixture.tree.find(.root, "a")?.node.id == made.node.id)
        #expect(try fixture.tree.held(at: "a") == nil)
    }

    @Test func aForeignObjectInPlaceOfALeftoverIsShown() throws {
        let fixture = try Fixture()
        try fixture.upload(try fixture.file("a").name.id, tag: "1")
        _ = try fixture.unlink("a")
        try fixture.list([("a", "foreign")])
        #expect(try fixture.names() == ["a"])
        #expect(try fixture.tree.leftovers(limit: 10).isEmpty)
    }

    @Test func aMovedDirectorysOldPlaceIsNotANewOne() throws {
        let fixture = try Fixture()
        try fixture.list([], prefixes: ["d/"])
        let folder = try #require(try fixture.tree.find(.root, "d")).node.id
        try fixture.list([("d/x", "1")], into: folder)
        _ = try fixture.rename(.root, "d", .root, "e")
        try fixture.list([], prefixes: ["d/"])
        #expect(try fixture.names() == ["e"])
        // What is listed at the old place belongs to the moved directory.
        try fixture.list([("d/x", "1"), ("d/y", "1")], into: folder)
        #expect(try fixture.names(folder) == ["x", "y"])
        try fixture.tree.leave(folder, "d/")
        try fixture.list([], prefixes: ["d/"])
        #expect(try fixture.names() == ["e"])
    }

    @Test func aFileBesideADirectoryOfTheSameName() throws {
        let fixture = try Fixture()
        try fixture.list([("a", "1")], prefixes: ["a/"])
        #expect(try fixture.names() == ["a", "a␛f"])
        let file = try #require(try fixture.tree.find(.root, "a␛f"))
        #expect(try fixture.tree.wantedKey(of: file.name.id) == "a")
        #expect(try fixture.list([("a", "1")], prefixes: ["a/"]).isEmpty)
        try fixture.list([("a", "2")], prefixes: ["a/"])
        #expect(try fixture.names() == ["a", "a␛f"])
    }

    @Test func everyKeyHasAName() throws {
        let long = ByteString(String(repeating: "é", count: 200))
        let other = ByteString(String(repeating: "é", count: 199) + "è")
        let broken = ByteString(bytes: [0xFF, 0xFE])
        let fixture = try Fixture()
        let keys: [ByteString] = [".", "..", long, other, broken, ByteString(bytes: [97, 0, 98])]
        try fixture.list(keys.map { ($0, "1") }, prefixes: ["/"])
        let names = try fixture.names()
        #expect(names.count == keys.count + 1)
        #expect(names.allSatisfy { (1...255).contains($0.count) && !$0.bytes.contains(0) })
        #expect(!names.contains(".") && !names.contains(".."))
        #expect(names.contains(broken) && names.contains("␛e") && names.contains("␛.."))
        for found in try fixture.tree.children(of: .root, after: NameID(0), limit: 100) where found.node.isFile {
            let key = try #require(try fixture.tree.wantedKey(of: found.name.id))
            #expect(keys.contains(key))
            #expect(found.name.component == nil || KeyMapping.isEscaped(found.name.name))
        }
        let empty = try #require(try fixture.tree.find(.root, "␛e")).node.id
        try fixture.list([("/x", "1")], prefixes: ["//"], into: empty)
        #expect(try fixture.names(empty) == ["x", "␛e"])
        #expect(try fixture.list(keys.map { ($0, "1") }, prefixes: ["/"]).isEmpty)
    }

    @Test func aMarkerGivesADirectoryItsAttributes() throws {
        let fixture = try Fixture()
        try fixture.list([], prefixes: ["d/"])
        let folder = try #require(try fixture.tree.find(.root, "d"))
        try fixture.list([("d/", "m")], into: folder.node.id)
        #expect(try fixture.tree.held(by: folder.name.id)?.key == "d/")
        let sequence = try fixture.tree.sequence()
        _ = try fixture.tree.learn(
            folder.name.id, Fixture.info("d/", "m", ["mode": "16832", "uid": "7"]), target: nil, since: sequence,
            now: Fixture.now)
        let node = try #require(try fixture.tree.node(folder.node.id))
        #expect(node.isKnown && node.mode == 0o040700 && node.user == 7 && node.group == 20)
    }

    @Test func aForeignVersionUnderALocalOneBecomesItsOwnName() throws {
        let fixture = try Fixture()
        try fixture.list([("a.txt", "1")])
        let found = try #require(try fixture.tree.find(.root, "a.txt"))
        try fixture.tree.touchContent(found.node.id)
        try fixture.tree.settle(found.node.id, sizeBytes: 9, modified: Fixture.now, changed: Fixture.now)
        let (events, copy) = try fixture.tree.resolveConflict(
            found.name.id, Fixture.info("a.txt", "2"), copyName: { _ in "a.copy.txt" }, now: Fixture.now)
        #expect(copy == "a.copy.txt")
        #expect(events.contains(.entry(parent: .root, name: "a.txt")))
        #expect(try fixture.names() == ["a.copy.txt", "a.txt"])
        #expect(try fixture.tree.find(.root, "a.copy.txt")?.node.id == found.node.id)
        #expect(try fixture.tree.find(.root, "a.txt")?.node.origin?.etag == ETag("2"))
        #expect(try fixture.tree.backlog().names == 1)
    }

    @Test func attributesAloneGiveWayToAForeignVersion() throws {
        let fixture = try Fixture()
        try fixture.list([("a", "1")])
        let found = try #require(try fixture.tree.find(.root, "a"))
        try fixture.tree.update(found.node.id, forBucket: true) { $0.mode = 0o100600 }
        let (_, copy) = try fixture.tree.resolveConflict(
            found.name.id, Fixture.info("a", "2"), copyName: { _ in "copy" }, now: Fixture.now)
        #expect(copy == nil)
        #expect(try fixture.tree.find(.root, "a")?.node.origin?.etag == ETag("2"))
    }
}
