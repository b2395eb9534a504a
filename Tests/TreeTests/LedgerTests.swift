import ObjectStore
import Primitives
import Testing

@testable import Tree

/// What the bucket holds for each name.
@Suite struct LedgerTests {
    @Test func anUploadClosesTheWork() throws {
        let fixture = try Fixture()
        let name = try fixture.file("a").name.id
        #expect(try !fixture.tree.close(name))
        #expect(try fixture.upload(name) == "a")
        #expect(try fixture.tree.close(name))
        #expect(try fixture.tree.backlog().isEmpty)
    }

    @Test func aChangeDuringAnUploadStaysToBeDone() throws {
        let fixture = try Fixture()
        let made = try fixture.file("a")
        let attempt = Attempt(
            key: "a", tag: fixture.tree.newTag(), name: made.name.id, node: made.node.id, content: 1, attributes: 1)
        try fixture.tree.begin(attempt)
        try fixture.tree.touchContent(made.node.id)
        try fixture.tree.finish(attempt, Fixture.info("a", "1"))
        #expect(try !fixture.tree.close(made.name.id))
        try fixture.tree.settle(made.node.id, sizeBytes: 5, modified: Fixture.now, changed: Fixture.now)
        #expect(try !fixture.tree.close(made.name.id))
        try fixture.upload(made.name.id, tag: "2")
        #expect(try fixture.tree.close(made.name.id))
    }

    @Test func anUnknownOutcomeKeepsTheNameOpen() throws {
        let fixture = try Fixture()
        let made = try fixture.file("a")
        try fixture.upload(made.name.id)
        let attempt = Attempt(
            key: "a", tag: fixture.tree.newTag(), name: made.name.id, node: made.node.id, content: 1, attributes: 1)
        try fixture.tree.begin(attempt)
        #expect(try !fixture.tree.close(made.name.id))
        _ = try fixture.rename(.root, "a", .root, "b")
        // The write was to where the name was wanted before; it is not forgotten.
        #expect(try fixture.tree.situation(of: made.name.id)?.attempt == attempt)
        try fixture.tree.abandon(attempt)
        #expect(try fixture.tree.situation(of: made.name.id)?.attempt == nil)
    }

    @Test func whatAGoneNameHeldIsLeftOver() throws {
        let fixture = try Fixture()
        let name = try fixture.file("a").name.id
        try fixture.upload(name, tag: "1")
        _ = try fixture.unlink("a")
        #expect(try fixture.tree.leftovers(limit: 10) == ["a"])
        try fixture.tree.release("a", etag: ETag("other"))
        #expect(try fixture.tree.leftovers(limit: 10) == ["a"])
        try fixture.tree.release("a", etag: ETag("1"))
        #expect(try fixture.tree.backlog().isEmpty)
    }

    @Test func anUnknownWriteOfAGoneNameIsWork() throws {
        let fixture = try Fixture()
        let made = try fixture.file("a")
        let attempt = Attempt(
            key: "a", tag: fixture.tree.newTag(), name: made.name.id, node: made.node.id, content: 1, attributes: 1)
        try fixture.tree.begin(attempt)
        _ = try fixture.unlink("a")
        #expect(try fixture.tree.leftovers(limit: 10) == ["a"])
        #expect(try !fixture.tree.backlog().isEmpty)
        try fixture.tree.finish(attempt, Fixture.info("a", "1"))
        #expect(try fixture.tree.held(at: "a")?.owner == nil)
        #expect(try fixture.tree.leftovers(limit: 10) == ["a"])
        #expect(TreeError.of { try fixture.tree.begin(attempt) } == "\(TreeError.notFound)")
    }

    @Test func aMovedNameLeavesItsOldObjectOver() throws {
        let fixture = try Fixture()
        let name = try fixture.file("a").name.id
        try fixture.upload(name)
        _ = try fixture.rename(.root, "a", .root, "b")
        #expect(try fixture.upload(name) == "b")
        #expect(try fixture.tree.leftovers(limit: 10) == ["a"])
        #expect(try fixture.tree.held(by: name)?.key == "b")
        #expect(try fixture.tree.find(.root, "b")?.node.origin?.key == "b")
    }

    @Test func aLinksReaderKeepsAnObject() throws {
        let fixture = try Fixture()
        let first = try fixture.file("a")
        let second = try fixture.tree.link(first.node.id, .root, "b", now: Fixture.now)
        try fixture.upload(first.name.id, tag: "1")
        _ = try fixture.unlink("a")
        let leftover = try #require(try fixture.tree.held(at: "a"))
        #expect(try !fixture.tree.isExpendable(leftover))
        try fixture.upload(second.name.id, tag: "1")
        #expect(try fixture.tree.isExpendable(leftover))
        #expect(try fixture.tree.node(first.node.id)?.origin?.key == "b")
    }

    @Test func anOlderWriteFoundLateIsNoOrigin() throws {
        let fixture = try Fixture()
        let first = try fixture.file("a")
        let second = try fixture.tree.link(first.node.id, .root, "b", now: Fixture.now)
        let late = Attempt(
            key: "b", tag: fixture.tree.newTag(), name: second.name.id, node: first.node.id, content: 1, attributes: 1)
        try fixture.tree.begin(late)
        try fixture.tree.touchContent(first.node.id)
        try fixture.upload(first.name.id, tag: "2")
        try fixture.tree.finish(late, Fixture.info("b", "1"))
        #expect(try fixture.tree.node(first.node.id)?.origin?.key == "a")
    }

    @Test func aRecognisedWriteIsSentAgain() throws {
        let fixture = try Fixture()
        let name = try fixture.file("a").name.id
        try fixture.upload(name, tag: "1")
        _ = try fixture.tree.close(name)
        try fixture.tree.recognise("a", etag: ETag("late"), sizeBytes: 3)
        #expect(try !fixture.tree.close(name))
        #expect(try fixture.tree.held(by: name)?.etag == ETag("late"))
    }

    @Test func nothingGoesWhereAMovedDirectoryMayHaveMore() throws {
        let fixture = try Fixture()
        let old = try fixture.folder("d")
        try fixture.upload(old.name.id)
        _ = try fixture.rename(.root, "d", .root, "e")
        let new = try fixture.folder("d")
        let file = try fixture.file("f", in: new.node.id)
        #expect(try fixture.tree.situation(of: new.name.id)?.blocker == old.name.id)
        #expect(try fixture.tree.situation(of: file.name.id)?.blocker == new.name.id)
        #expect(try !fixture.tree.arrive(new.node.id, "d/"))
        try fixture.tree.leave(old.node.id, "d/")
        #expect(try fixture.tree.arrive(old.node.id, "e/"))
        #expect(try fixture.tree.arrive(new.node.id, "d/"))
        #expect(try fixture.tree.situation(of: file.name.id)?.blocker == nil)
        #expect(try !fixture.tree.arrive(new.node.id, "elsewhere/"))
    }

    @Test func spreadingMarksChildrenInParts() throws {
        let fixture = try Fixture()
        let folder = try fixture.folder("d")
        try fixture.upload(folder.name.id)
        for name: ByteString in ["a", "b", "c"] {
            let file = try fixture.file(name, in: folder.node.id).name.id
            try fixture.upload(file)
            #expect(try fixture.tree.close(file))
        }
        let first = try #require(try fixture.tree.spread(folder.node.id, after: NameID(0), limit: 2))
        #expect(try fixture.tree.namesWithWork(after: folder.name.id, limit: 10).count == 2)
        _ = try fixture.tree.spread(folder.node.id, after: first, limit: 2)
        #expect(try fixture.tree.namesWithWork(after: folder.name.id, limit: 10).count == 3)
    }
}
