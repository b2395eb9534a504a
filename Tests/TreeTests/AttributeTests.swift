import ObjectStore
import Primitives
import Testing

@testable import Tree

/// Attributes to metadata and back.
@Suite struct AttributeTests {
    private static let defaults = Tree.Defaults(user: 10, group: 20)

    private func applied(_ metadata: Metadata, _ mode: UInt32 = 0o100644) -> Node {
        var node = Fixture.template(mode)
        AttributeMapping.apply(Fixture.info("k", "1", metadata), to: &node, Self.defaults)
        return node
    }

    @Test func whatIsWrittenIsRead() {
        var node = Fixture.template(0o100751)
        node.user = 4_000_000_000
        node.accessed = Timestamp(seconds: -5, nanoseconds: 7)
        node.modified = Timestamp(seconds: 1_234_567_890, nanoseconds: 1)
        node.changed = Timestamp(seconds: 0, nanoseconds: 999_999_999)
        node.xattrs = ["user.a": [0, 255, 34, 37], "user.b": [], "user.ü": Array("text".utf8)]
        let metadata = AttributeMapping.metadata(of: node, at: "k", tag: "t", content: "c")
        #expect(metadata["mtime"] == "1234567890.000000001")
        #expect(metadata["mode"] == "33257")
        let read = applied(metadata)
        #expect(read.mode == node.mode && read.user == node.user && read.group == node.group)
        #expect(read.accessed == node.accessed && read.modified == node.modified && read.changed == node.changed)
        #expect(read.xattrs == node.xattrs)
    }

    @Test func othersTimesAreRead() {
        #expect(
            applied(["mtime": "1700000001.5"]).modified == Timestamp(seconds: 1_700_000_001, nanoseconds: 500_000_000))
        #expect(applied(["mtime": "1700000001"]).modified == Timestamp(seconds: 1_700_000_001))
        #expect(
            applied(["gcsfuse_mtime": "2023-11-14T22:13:21.25Z"]).modified
                == Timestamp(seconds: 1_700_000_001, nanoseconds: 250_000_000))
        #expect(applied(["goog-reserved-file-mtime": "1700000002"]).modified == Timestamp(seconds: 1_700_000_002))
        #expect(applied(["goog-reserved-file-atime": "1700000003"]).accessed == Timestamp(seconds: 1_700_000_003))
    }

    @Test func googlesPermissionsAreRead() {
        let google = [
            "goog-reserved-posix-mode": "640", "goog-reserved-posix-uid": "7", "goog-reserved-posix-gid": "8",
        ]
        let node = applied(google)
        #expect(node.mode == 0o100640 && node.user == 7 && node.group == 8)
        #expect(applied(google, 0o040755).mode == 0o040640)
        #expect(applied(google.merging(["mode": "33188"]) { $1 }).mode == 0o100644, "ours count more")
    }

    @Test(arguments: ["", "x", "1.", "1.x", "-", "99999999999", "1.2.3", "9223372036854775807", "-9223372036854775808"])
    func brokenTimesAreNoTimes(_ text: String) {
        let modified = applied(["mtime": text, "ctime": text, "atime": text, "gcsfuse_mtime": text]).modified
        #expect(modified == Fixture.now || text == "1.")
    }

    @Test(arguments: ["", "Z", "-2147483648-01-01T00:00:00Z", "2023-99-14T22:13:21Z", "2023-1-1-1-1-1-1-1-1-1Z"])
    func brokenDatesAreNoTimes(_ text: String) {
        let modified = applied(["gcsfuse_mtime": text]).modified
        #expect(modified == Fixture.now || text.hasPrefix("2023-1-"))
    }

    @Test func brokenMetadataGetsDefaults() {
        let node = applied(["mode": "rwx", "uid": "-1", "gid": "99999999999", "rdev": "x", "xattr": "%7B%22%"])
        #expect(node.mode == 0o100644 && node.user == 10 && node.group == 20 && node.device == 0)
        #expect(node.xattrs.isEmpty)
    }

    @Test func aKeyDecidesWhatIsADirectory() {
        #expect(applied(["mode": "16877"]).mode == 0o100755)
        #expect(applied(["mode": "33188"], 0o040755).mode == 0o040644)
        #expect(applied(["mode": "41471"]).isSymlink)
        #expect(applied(["mode": "420"]).mode == 0o100644)
    }
}
