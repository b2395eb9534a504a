import Primitives
import Testing

@testable import Tree

/// What POSIX asks of names.
@Suite struct NamesTests {
    @Test func errorsChangeNothing() throws {
        let fixture = try Fixture()
        let tree = fixture.tree
        let file = try fixture.file("f").node.id
        let folder = try fixture.folder("d").node.id
        try fixture.file("inside", in: folder)
        func check(_ wanted: TreeError, _ body: () throws -> Void) {
            #expect(TreeError.of(body) == "\(wanted)")
        }
        check(.exists) { try fixture.file("f") }
        check(.notADirectory) { try fixture.file("x", in: file) }
        check(.notFound) { try fixture.file("x", in: NodeID(999)) }
        check(.isADirectory) { _ = try fixture.unlink("d") }
        check(.notFound) { _ = try fixture.unlink("nothing") }
        check(.notADirectory) { _ = try tree.removeDirectory(.root, "f", now: Fixture.now) }
        check(.notEmpty) { _ = try tree.removeDirectory(.root, "d", now: Fixture.now) }
        check(.isADirectory) { _ = try tree.link(folder, .root, "x", now: Fixture.now) }
        check(.exists) { _ = try tree.link(file, .root, "d", now: Fixture.now) }
        check(.notFound) { _ = try fixture.rename(.root, "nothing", .root, "x") }
        check(.isADirectory) { _ = try fixture.rename(.root, "f", .root, "d") }
        check(.notADirectory) { _ = try fixture.rename(.root, "d", .root, "f") }
        check(.exists) { _ = try fixture.rename(.root, "f", .root, "d", noReplace: true) }
        check(.loop) { _ = try fixture.rename(.root, "d", folder, "below") }
        check(.loop) { try fixture.exchange(.root, "d", folder, "inside") }
        #expect(try fixture.names() == ["d", "f"])
        #expect(try fixture.names(folder) == ["inside"])
    }

    @Test func aDirectoryReplacesAnEmptyOneOnly() throws {
        let fixture = try Fixture()
        try fixture.folder("a")
        let full = try fixture.folder("full").node.id
        try fixture.file("x", in: full)
        #expect(TreeError.of { _ = try fixture.rename(.root, "a", .root, "full") } == "\(TreeError.notEmpty)")
        try fixture.folder("empty")
        let replaced = try fixture.rename(.root, "full", .root, "empty")
        #expect(replaced?.isOrphan == true)
        #expect(try fixture.names() == ["a", "empty"])
    }

    @Test func twoNamesOfOneNodeStayWhenRenamedOntoEachOther() throws {
        let fixture = try Fixture()
        let node = try fixture.file("a").node.id
        #expect(try fixture.tree.link(node, .root, "b", now: Fixture.now).node.links == 2)
        #expect(try fixture.rename(.root, "a", .root, "b") == nil)
        #expect(try fixture.names() == ["a", "b"])
        #expect(try fixture.unlink("a").isOrphan == false)
        #expect(try fixture.unlink("b").isOrphan)
    }

    @Test func idsAreNeverUsedAgain() throws {
        let fixture = try Fixture()
        let first = try fixture.file("a")
        _ = try fixture.unlink("a")
        #expect(try fixture.tree.forgetOrphans([first.node.id]) == [first.node.id])
        let second = try fixture.file("a")
        #expect(second.node.id > first.node.id)
        #expect(second.name.id != first.name.id)
    }

    @Test func keysFollowTheDirectories() throws {
        let fixture = try Fixture()
        let top = try fixture.folder("top").node.id
        let inner = try fixture.folder("inner", in: top)
        let file = try fixture.file("f", in: inner.node.id)
        #expect(try fixture.tree.wantedKey(of: file.name.id) == "top/inner/f")
        _ = try fixture.rename(.root, "top", .root, "moved")
        #expect(try fixture.tree.wantedKey(of: file.name.id) == "moved/inner/f")
        #expect(try fixture.tree.wantedKey(of: inner.name.id) == "moved/inner/")
        _ = try fixture.rename(top, "inner", .root, "out")
        #expect(try fixture.tree.wantedKey(of: file.name.id) == "out/f")
        #expect(try fixture.tree.path(of: file.name.id) == "out/f")
    }

    @Test func exchangeSwapsPlaces() throws {
        let fixture = try Fixture()
        let file = try fixture.file("a")
        let folder = try fixture.folder("b")
        try fixture.exchange(.root, "a", .root, "b")
        #expect(try fixture.tree.find(.root, "a")?.node.id == folder.node.id)
        #expect(try fixture.tree.find(.root, "b")?.node.id == file.node.id)
        #expect(TreeError.of { try fixture.exchange(.root, "a", .root, "none") } == "\(TreeError.notFound)")
    }

    @Test func theTreeIsThereAgain() throws {
        let fixture = try Fixture()
        let path: String
        let tag: String
        do {
            let inner = try Fixture()
            path = inner.directory + "-kept"
            try inner.file("a")
            tag = inner.tree.newTag()
            try copy(inner.directory, to: path)
        }
        defer { remove(path) }
        let tree = try Fixture.open(path)
        #expect(try tree.find(.root, "a") != nil)
        #expect(try tree.backlog().names == 1)
        #expect(tree.isOwn(tag: tag))
        #expect(tree.newTag() != tag)
        #expect(!fixture.tree.isOwn(tag: "other-1"))
    }

    @Test func namelessNodesAreOrphans() throws {
        let fixture = try Fixture()
        let node = try fixture.tree.makeNameless(Fixture.template(0o100600))
        #expect(try fixture.tree.orphans(limit: 10) == [node.id])
        _ = try fixture.tree.link(node.id, .root, "named", now: Fixture.now)
        #expect(try fixture.tree.orphans(limit: 10).isEmpty)
        #expect(try fixture.tree.forgetOrphans([node.id]).isEmpty)
    }
}
