import FileSystem
import Foundation
import MemoryStore
import Primitives
import Testing

@testable import Reconciling
@testable import Tree

/// Uploads whose outcome nobody recorded, and versions that went away under local changes.
@Suite(.timeLimit(.minutes(1))) struct InterruptedTests {
    private let text = Array("what was uploaded".utf8)

    /// A file's upload is carried out, its answer is lost, and then the power is, with all that was not synced.
    private func losePower(_ rig: Rig) async throws {
        #expect(try await rig.list("").count < 2)
        rig.faulty.inject(.loseReply(.timedOut), on: .write, key: "f", times: 1_000)
        rig.faulty.inject(.fail(.unavailable), on: .head, key: "f", times: 1_000)
        try await rig.write("f", text)
        try await wait("the upload") { rig.objects()["f"] == text }
        try await rig.kill(powerLoss: true, losing: ["f"])
        rig.faulty.heal()
    }

    @Test(arguments: [false, true]) func theFileHasWhatWasUploaded(_ isNew: Bool) async throws {
        let rig = try Rig()
        if !isNew {
            try await rig.write("f", Array("old".utf8))
            try await rig.drain()
        }
        try await losePower(rig)
        #expect(try await rig.attributes("f").sizeBytes == Int64(text.count))
        #expect(try await rig.read("f") == text)
        try await rig.write("f", Array("WHAT".utf8), truncate: false)
        try await rig.drain()
        #expect(rig.objects() == ["f": Array("WHAT was uploaded".utf8)])
    }

    @Test func anotherNameOfItHasIt() async throws {
        let rig = try Rig()
        try await losePower(rig)
        let node = try await rig.node("f")
        _ = try await rig.run { fs throws(Failure) in try fs.link(node, to: .root, "g", rig.caller) }
        try await rig.drain()
        #expect(rig.objects() == ["f": text, "g": text])
    }

    @Test func withoutTheUploadTheFileIsEmpty() async throws {
        let rig = try Rig()
        #expect(try await rig.list("").isEmpty)
        rig.faulty.inject(.fail(.timedOut), on: .write, key: "f", times: 1_000)
        rig.faulty.inject(.fail(.unavailable), on: .head, key: "f", times: 1_000)
        try await rig.write("f", text)
        let node = try await rig.node("f")
        try await wait("an attempt") { try !rig.tree.attempts(of: node).isEmpty }
        try await rig.kill(powerLoss: true, losing: ["f"])
        rig.faulty.heal()
        #expect(try await rig.read("f").isEmpty)
        try await rig.drain()
        #expect(rig.objects() == ["f": []])
    }

    @Test func numbersOfLostNodesAreNotGivenAgain() async throws {
        let rig = try Rig()
        try await rig.write("f", text)
        try await rig.drain()
        let lost = try await rig.node("f").raw + 7
        let directory = rig.directory + "/content/" + (lost < 16 ? "0" : "") + String(lost, radix: 16)
        try Data([1]).write(to: URL(fileURLWithPath: directory + "/" + String(lost, radix: 16)))
        try await rig.kill(powerLoss: true)
        try await rig.write("new", text)
        #expect(try await rig.node("new").raw > lost)
    }

    @Test func changesOfAVersionThatIsGoneAreSetAside() async throws {
        let rig = try Rig()
        let old = [UInt8](repeating: 1, count: 1 << 20)
        let other = Array("somebody else's".utf8)
        rig.bucket.put("f", old)
        #expect(try await rig.list("") == ["f"])
        rig.faulty.inject(.fail(.unavailable), on: .write, times: 1)
        try await rig.write("f", Array("mine".utf8), at: 500_000, truncate: false)
        rig.bucket.put("f", other)
        try await rig.drain()
        #expect(rig.objects() == ["f": other])
        #expect(try await rig.read("f") == other)
        let lost = rig.directory + "/lost+found"
        let kept = try FileManager.default.contentsOfDirectory(atPath: lost).filter { !$0.hasSuffix(".map") }
        let bytes = try #require(FileManager.default.contents(atPath: lost + "/" + (kept.first ?? "")))
        #expect(kept.count == 1 && bytes[500_000..<500_004] == Data("mine".utf8))
    }

    @Test func whatARemovedOpenFileStillReadsIsNotWaitedFor() async throws {
        let rig = try Rig()
        let bytes = [UInt8](repeating: 7, count: 1 << 20)
        rig.bucket.put("f", bytes)
        let node = try await rig.node("f")
        let handle = try await rig.run { fs throws(Failure) in try fs.open(node, flags: O_RDONLY, rig.caller) }.handle
        try await rig.remove("f")
        try await rig.reconciler.drain()
        #expect(rig.objects() == ["f": bytes])
        #expect(try await rig.read(handle, 0..<(1 << 20)) == bytes)
        try await rig.close(handle)
        try await wait("its end") { rig.objects().isEmpty }
    }

    private func wait(_ what: String, until holds: () throws -> Bool) async throws {
        for _ in 0..<5_000 {
            if try holds() { return }
            try await Task.sleep(nanoseconds: 1_000_000)
        }
        Issue.record("waited in vain for \(what)")
    }
}
