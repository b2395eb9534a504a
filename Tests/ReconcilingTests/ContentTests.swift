import ObjectStore
import Primitives
import Testing

@testable import Reconciling
@testable import Tree

/// Files get to the bucket, and what was not changed costs nothing.
@Suite struct ContentTests {
    @Test func aNewFileBecomesAnObject() async throws {
        let bench = try Bench()
        let session = try await bench.open()
        try session.make("a.txt", "hello")
        try await session.drain()
        #expect(bench.bucket == ["a.txt": "hello"])
        let metadata = bench.metadata("a.txt")
        #expect(metadata["mode"] == "33188")
        #expect(metadata["uid"] == "1000")
        #expect(metadata["mtime"] == AttributeMapping.text(try session.node("a.txt").modified))
        #expect(try session.tree.backlog().isEmpty)
        #expect(session.cache.usage().dirtyBytes == 0)
        await session.die()
    }

    @Test func anEmptyFileBecomesAnObject() async throws {
        let bench = try Bench()
        let session = try await bench.open()
        try session.make("empty", "")
        try await session.drain()
        #expect(bench.bucket == ["empty": ""])
        await session.die()
    }

    @Test func overwritingReplacesTheVersionThatWasThere() async throws {
        let bench = try Bench()
        let session = try await bench.open()
        let id = try session.make("a", "one")
        try await session.drain()
        try session.write(id, "two")
        try await session.drain()
        #expect(bench.bucket == ["a": "two"])
        #expect(bench.store.calls.filter { $0.operation == .write }.count == 2)
        #expect(bench.store.calls.filter { $0.operation == .head }.isEmpty)
        await session.die()
    }

    @Test func aHundredWritesAreFewUploads() async throws {
        let bench = try Bench(.init(delayMilliseconds: 5_000))
        let session = try await bench.open()
        let id = try session.make("a", "")
        for number in 0..<100 { try session.write(id, "version \(number)") }
        try await session.drain()
        #expect(bench.bucket == ["a": "version 99"])
        #expect(bench.store.calls.filter { $0.operation == .write }.count == 1)
        await session.die()
    }

    @Test func whatIsCreatedAndDeletedCostsNoRequest() async throws {
        let bench = try Bench(.init(delayMilliseconds: 5_000))
        let session = try await bench.open()
        try session.make("a", "gone soon")
        try session.unlink("a")
        try await session.drain()
        #expect(bench.bucket.isEmpty)
        #expect(bench.store.calls.isEmpty)
        await session.die()
    }

    @Test func aDeletedFileIsDeleted() async throws {
        let bench = try Bench()
        let session = try await bench.open()
        try session.make("a", "1")
        try session.make("b", "2")
        try await session.drain()
        try session.unlink("a")
        try await session.drain()
        #expect(bench.bucket == ["b": "2"])
        await session.die()
    }

    @Test func aDeletedAndRemadeFileLeavesNoGap() async throws {
        let bench = try Bench()
        let session = try await bench.open()
        try session.make("a", "1")
        try await session.drain()
        bench.store.clearCalls()
        try session.unlink("a")
        try session.make("a", "2")
        try await session.drain()
        #expect(bench.bucket == ["a": "2"])
        #expect(!bench.store.calls.contains { $0.operation == .delete })
        await session.die()
    }

    @Test func attributesAloneAreACopyOntoItself() async throws {
        let bench = try Bench()
        let session = try await bench.open()
        try session.make("a", "content")
        try await session.drain()
        bench.store.clearCalls()
        try session.chmod("a", 0o600)
        try await session.drain()
        #expect(bench.store.calls.map(\.operation).filter { $0 != .capabilities } == [.copy])
        #expect(bench.metadata("a")["mode"] == "33152")
        #expect(bench.bucket == ["a": "content"])
        await session.die()
    }

    @Test func hardLinksAreCopies() async throws {
        let bench = try Bench()
        let session = try await bench.open()
        let id = try session.make("a", "shared")
        try await session.drain()
        try session.link("a", to: "b")
        try await session.drain()
        #expect(bench.bucket == ["a": "shared", "b": "shared"])
        #expect(bench.store.calls.filter { $0.operation == .write }.count == 1)
        try session.write(id, "changed")
        try await session.drain()
        #expect(bench.bucket == ["a": "changed", "b": "changed"])
        try session.unlink("a")
        try await session.drain()
        #expect(bench.bucket == ["b": "changed"])
        #expect(try await session.read("b") == "changed")
        await session.die()
    }

    @Test func symbolicLinksHoldTheirTarget() async throws {
        let bench = try Bench()
        let session = try await bench.open()
        try session.symlink("link", to: "some/where")
        try await session.drain()
        #expect(bench.bucket == ["link": "some/where"])
        #expect(bench.metadata("link")["mode"] == String(0o120777))
        try session.rename("link", to: "other")
        try await session.drain()
        #expect(bench.bucket == ["other": "some/where"])
        await session.die()
    }

    @Test func directoriesAreMarkers() async throws {
        let bench = try Bench()
        let session = try await bench.open()
        try session.makeDirectory("d")
        try session.makeDirectory("d/e")
        try session.make("d/e/f", "deep")
        try await session.drain()
        #expect(bench.bucket == ["d/": "", "d/e/": "", "d/e/f": "deep"])
        try session.unlink("d/e/f")
        try session.removeDirectory("d/e")
        try await session.drain()
        #expect(bench.bucket == ["d/": ""])
        await session.die()
    }

    /// SeaweedFS keeps the object of a directory that isn't empty, and says that it was deleted.
    @Test func whatLiesBelowIsDeletedFirst() async throws {
        let bench = try Bench()
        let session = try await bench.open()
        for directory in ["d", "d/e", "d/e/f"] { try session.makeDirectory(directory) }
        for number in 0..<30 { try session.make("d/e/f/\(number)", "x") }
        try await session.drain()
        for number in 0..<30 { try session.unlink("d/e/f/\(number)") }
        for directory in ["d/e/f", "d/e", "d"] { try session.removeDirectory(directory) }
        try await session.drain()
        #expect(bench.bucket.isEmpty)
        let deleted = bench.store.calls.filter { $0.operation == .delete }.compactMap(\.key)
        #expect(deleted.count == 33)
        #expect(deleted.suffix(3) == ["d/e/f/", "d/e/", "d/"])
        await session.die()
    }

    @Test func aBigFileSendsOnlyWhatChanged() async throws {
        var capabilities = StoreCapabilities()
        capabilities.rangeGranularityBytes = 64 << 10
        let bench = try Bench(.init(capabilities: capabilities))
        let session = try await bench.open()
        let id = try session.make("big", String(repeating: "0123456789abcdef", count: 128 << 10))
        try await session.drain()
        let before = try session.reconciler.status().uploadedBytes
        try await session.change(id, Array("changed".utf8), at: 1 << 20)
        try await session.drain()
        #expect(try session.reconciler.status().uploadedBytes - before <= 64 << 10)
        let object = try #require(bench.memory.object("big"))
        #expect(object.bytes.count == 2 << 20)
        #expect(Array(object.bytes[(1 << 20)..<(1 << 20) + 7]) == Array("changed".utf8))
        await session.die()
    }

    @Test func aFileOfTheBucketIsChangedInPart() async throws {
        let bench = try Bench()
        bench.memory.put("a", Array("0123456789".utf8))
        let session = try await bench.open()
        try await session.discovery.list(.root)
        try await session.change(try session.node("a").id, Array("xx".utf8), at: 4)
        try await session.drain()
        #expect(bench.bucket == ["a": "0123xx6789"])
        await session.die()
    }
}
