import Foundation
import LocalDatabase
import Primitives
import Testing

@testable import Tree

/// Trees whose files were damaged: what a start notices, and what can still be read.
@Suite struct DamageTests {
    private static func changed(_ sql: String) throws -> [String] {
        let fixture = try Fixture()
        let folder = try fixture.folder("folder").node.id
        try fixture.file("file", in: folder)
        try fixture.folder("inner", in: folder)
        let copied = fixture.directory + "-copy"
        try copy(fixture.directory, to: copied)
        defer { remove(copied) }
        let path = copied + "/tree"
        #expect(try TreeCheck(path: path, thorough: true, afterPowerLoss: false).faults.isEmpty)
        do {
            let database = try Database(path: path)
            try database.transaction { connection throws(DatabaseError) in try connection.execute(sql) }
        }
        return try TreeCheck(path: path, thorough: true, afterPowerLoss: false).faults
    }

    @Test(
        arguments: [
            ("DELETE FROM nodes WHERE id = 1", "there is no top directory"),
            ("UPDATE nodes SET mode = 33188 WHERE id = 1", "there is no top directory"),
            ("UPDATE names SET node = -5 WHERE name = CAST('file' AS BLOB)", "a number is negative"),
            (
                "INSERT INTO nodes(id, " + columns + ") SELECT -3, " + columns + " FROM nodes WHERE id = 2",
                "a number is negative"
            ),
            ("UPDATE names SET node = 999 WHERE name = CAST('file' AS BLOB)", "a name leads to nothing"),
            ("UPDATE nodes SET links = 0 WHERE id = 3", "a name leads to something that was deleted"),
            ("UPDATE names SET parent = 3 WHERE name = CAST('inner' AS BLOB)", "a name lies in no directory"),
            ("UPDATE names SET name = CAST('a/b' AS BLOB) WHERE name = CAST('file' AS BLOB)", "a name is none"),
            ("UPDATE nodes SET size = -1 WHERE id = 3", "a node is none"),
            ("UPDATE nodes SET mode = 12345678 WHERE id = 3", "a node is none"),
            ("UPDATE nodes SET prefix = CAST('folder' AS BLOB) WHERE id = 2", "a prefix is none"),
            (
                "UPDATE names SET parent = (SELECT node FROM names WHERE name = CAST('inner' AS BLOB)) "
                    + "WHERE name = CAST('folder' AS BLOB)", "a directory lies in itself"
            ),
        ])
    func whatCannotBeIsNamed(sql: String, fault: String) throws {
        #expect(try Self.changed(sql).contains(fault))
    }

    private static let columns =
        "mode, user, grp, device, size, accessed, modified, changed, target, xattrs, links, content, attributes, "
        + "known, live, originKey, originTag, originSize, prefix, listed"

    /// Paths and what waits, by the salvage, of a copy to which `damage` was done.
    private func salvage(_ damage: (String) throws -> Void) throws -> (paths: [String?], waiting: Int) {
        let fixture = try Fixture()
        var nodes: [UInt64] = []
        var folder = NodeID.root
        for depth in 0..<30 {
            folder = try fixture.folder(ByteString("folder \(depth)"), in: folder).node.id
            let found = try fixture.file(ByteString("file \(depth)"), in: folder)
            nodes.append(found.node.id.raw)
            if depth.isMultiple(of: 2) {
                try fixture.upload(found.name.id)
                _ = try fixture.tree.close(found.name.id)
            }
        }
        let copied = fixture.directory + "-copy"
        try copy(fixture.directory, to: copied)
        defer { remove(copied) }
        try damage(copied + "/tree")
        let salvage = TreeSalvage(path: copied + "/tree", nodes: Set(nodes))
        return (nodes.map { salvage.path(of: $0)?.map(\.description).joined(separator: "/") }, salvage.waiting.count)
    }

    private static func expected(_ depth: Int) -> String {
        (0...depth).map { "folder \($0)/" }.joined() + "file \(depth)"
    }

    @Test func pathsAreReadFromTheFilesBytes() throws {
        let (paths, waiting) = try salvage { _ in }
        #expect(paths == (0..<30).map { Self.expected($0) })
        // Directories wait for their objects, too, and with them what lies in them.
        #expect(waiting >= 30 + 15)
    }

    @Test func pathsAreReadWithoutTheFirstPage() throws {
        let (paths, _) = try salvage { path in
            // All into the file, then no header and no schema.
            _ = try Database(path: path).integrityCheck()
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
            try file.write(contentsOf: Data(count: 4096))
            try file.close()
        }
        #expect(paths == (0..<30).map { Self.expected($0) })
    }

    @Test func aLoopIsNoPath() throws {
        let fixture = try Fixture()
        let outer = try fixture.folder("outer").node.id
        let inner = try fixture.folder("inner", in: outer).node.id
        let copied = fixture.directory + "-copy"
        try copy(fixture.directory, to: copied)
        defer { remove(copied) }
        let database = try Database(path: copied + "/tree")
        try database.transaction { connection throws(DatabaseError) in
            try connection.run(
                "UPDATE names SET parent = ? WHERE node = ?", [.int(Int64(inner.raw)), .int(Int64(outer.raw))])
        }
        let again = copied + "-2"
        try copy(copied, to: again)
        defer { remove(again) }
        #expect(TreeSalvage(path: again + "/tree", nodes: [inner.raw]).path(of: inner.raw) == nil)
    }
}
