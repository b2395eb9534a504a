import Foundation
import ObjectStore
import Primitives

@testable import Tree

/// A tree in a directory of its own.
final class Fixture: Sendable {
    let directory: String
    let tree: Tree
    static let now = Timestamp(seconds: 1_700_000_000)

    init() throws {
        let base = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
        directory = base + "/pail-tree-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        tree = try Fixture.open(directory)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    static func open(_ directory: String) throws -> Tree {
        try Tree(
            path: directory + "/tree", defaults: Tree.Defaults(user: 10, group: 20), newCacheID: "cache", now: now)
    }

    static func template(_ mode: UInt32) -> Node {
        Node(id: NodeID(0), mode: mode, user: 1, group: 2, accessed: now, modified: now, changed: now)
    }

    @discardableResult
    func file(_ name: ByteString, in parent: NodeID = .root) throws -> Found {
        try tree.make(parent, name, Self.template(0o100644), now: Self.now)
    }

    @discardableResult
    func folder(_ name: ByteString, in parent: NodeID = .root) throws -> Found {
        try tree.make(parent, name, Self.template(0o040755), now: Self.now)
    }

    func rename(
        _ parent: NodeID, _ name: ByteString, _ newParent: NodeID, _ newName: ByteString, noReplace: Bool = false
    ) throws -> Removed? {
        try tree.rename(parent, name, to: newParent, newName, noReplace: noReplace, now: Self.now)
    }

    func exchange(_ parent: NodeID, _ name: ByteString, _ other: NodeID, _ otherName: ByteString) throws {
        try tree.exchange(parent, name, with: other, otherName, now: Self.now)
    }

    func unlink(_ name: ByteString, in parent: NodeID = .root) throws -> Removed {
        try tree.unlink(parent, name, now: Self.now)
    }

    /// Records an upload of the name's present state to where it is wanted.
    @discardableResult
    func upload(_ name: NameID, tag: String = "\"1\"") throws -> ByteString {
        guard let situation = try tree.situation(of: name) else { throw TreeError.notFound }
        let attempt = Attempt(
            key: situation.wanted, tag: tree.newTag(), name: name, node: situation.node.id,
            content: situation.node.content, attributes: situation.node.attributes)
        try tree.begin(attempt)
        try tree.finish(attempt, Self.info(situation.wanted, tag))
        if situation.node.isDirectory { _ = try tree.arrive(situation.node.id, situation.wanted) }
        return situation.wanted
    }

    static func info(_ key: ByteString, _ tag: String, _ metadata: Metadata? = nil) -> ObjectInfo {
        ObjectInfo(key: key, sizeBytes: 3, etag: ETag(tag), lastModified: now, metadata: metadata)
    }

    /// A complete listing of a directory.
    @discardableResult
    func list(
        _ keys: [(ByteString, String)], prefixes: [ByteString] = [], into directory: NodeID = .root,
        since: Int64? = nil
    ) throws -> [TreeEvent] {
        guard let prefix = try tree.node(directory)?.prefix else { return [] }
        let sequence = try since ?? tree.sequence()
        let page = ListPage(objects: keys.map { Self.info($0.0, $0.1) }, prefixes: prefixes)
        var events = try tree.merge(page, into: directory, prefix: prefix, since: sequence, now: Self.now)
        let seen = Set(keys.map { $0.0.hashValue } + prefixes.map { $0.hashValue })
        events += try tree.finishListing(of: directory, prefix: prefix, seen: seen, since: sequence, now: { Self.now })
        return events
    }

    func names(_ directory: NodeID = .root) throws -> [ByteString] {
        try tree.children(of: directory, after: NameID(0), limit: 100).map { $0.name.name }.sorted()
    }
}

extension TreeError {
    /// The error as text, to compare.
    static func of(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch { return "\(error)" }
    }
}

/// The tree's files as a killed process would leave them, read by another process: closing them here would drop SQLite's locks.
func copy(_ directory: String, to path: String) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/cp")
    process.arguments = ["-r", directory, path]
    try process.run()
    process.waitUntilExit()
}

func remove(_ path: String) { try? FileManager.default.removeItem(atPath: path) }
