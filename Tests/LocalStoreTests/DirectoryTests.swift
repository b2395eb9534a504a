import Foundation
import LocalStore
import ObjectStore
import Primitives
import Testing

/// What is particular to a directory: other programs work in it, too.
@Suite("LocalStore's directory") final class DirectoryTests {
    let path = NSTemporaryDirectory() + "/pail-local-\(UUID().uuidString)"
    let store: LocalStore

    init() throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        store = LocalStore(path: path)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    @discardableResult
    private func put(
        _ key: ByteString, _ text: String, in store: LocalStore? = nil, _ condition: Condition = .none
    ) async throws(StoreError) -> ObjectInfo {
        try await (store ?? self.store).write(
            UploadPlan(bytes: Array(text.utf8)), to: key, metadata: ["k": "v"], contentType: nil,
            condition: condition)
    }

    private func kind(_ body: () async throws -> Void) async -> StoreError.Kind? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? StoreError)?.kind
        }
    }

    private func keys(delimited: Bool = false) async throws -> [ByteString] {
        let page = try await store.list(prefix: "", delimited: delimited, from: nil, limit: 1000)
        return page.objects.map(\.key) + page.prefixes
    }

    @Test func objectsArePlainFiles() async throws {
        try await put("d/é x", "hello")
        #expect(try String(contentsOfFile: path + "/d/é x", encoding: .utf8) == "hello")
        try "by hand".write(toFile: path + "/d/hand", atomically: false, encoding: .utf8)
        let body = try await store.read("d/hand", range: nil, ifMatch: nil)
        #expect(body.bytes == Array("by hand".utf8) && body.info.metadata == [:])
        #expect(try await keys() == ["d/hand", "d/é x"])
    }

    @Test func directoriesAreReadFromTheirBeginning() async throws {
        try await put("a", "1")
        let found = await kind { _ = try await store.list(prefix: "", delimited: true, from: .after("0"), limit: 10) }
        #expect(found == .unsupported)
    }

    @Test func anEditByHandIsAnotherVersion() async throws {
        let etag = try #require(try await put("a", "old").etag)
        let file = try #require(FileHandle(forUpdatingAtPath: path + "/a"))
        try file.write(contentsOf: Data("new".utf8))
        try file.close()
        #expect(try await store.head("a").etag != etag)
        #expect(await kind { _ = try await store.read("a", range: nil, ifMatch: etag) } == .conditionFailed)
        #expect(await kind { try await put("a", "mine", in: nil, .matches(etag)) } == .conditionFailed)
        #expect(await kind { try await store.delete("a", condition: .matches(etag)) } == .conditionFailed)
        #expect(try String(contentsOfFile: path + "/a", encoding: .utf8) == "new")
    }

    @Test func symbolicLinksAreNotFollowed() async throws {
        let outside = path + "-outside"
        try FileManager.default.createDirectory(atPath: outside, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: outside) }
        try "secret".write(toFile: outside + "/file", atomically: false, encoding: .utf8)
        try FileManager.default.createSymbolicLink(atPath: path + "/dir", withDestinationPath: outside)
        try FileManager.default.createSymbolicLink(atPath: path + "/link", withDestinationPath: outside + "/file")
        #expect(try await keys() == [])
        for key in ["dir/file", "link", "dir/"] as [ByteString] {
            #expect(await kind { _ = try await store.read(key, range: nil, ifMatch: nil) } == .notFound)
            try await store.delete(key, condition: .none)
        }
        for key in ["dir/new", "link", "dir/"] as [ByteString] {
            #expect(
                await kind {
                    _ = try await store.write(
                        UploadPlan(bytes: []), to: key, metadata: [:], contentType: nil, condition: .none)
                } == .refused)
        }
        #expect(try await store.list(prefix: "dir/", delimited: true, from: nil, limit: 10).objects.isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: outside) == ["file"])
        #expect(try String(contentsOfFile: outside + "/file", encoding: .utf8) == "secret")
    }

    @Test func pipesAreNoObjects() async throws {
        #expect(mkfifo(path + "/pipe", 0o600) == 0)
        #expect(try await keys() == [])
        #expect(await kind { _ = try await store.head("pipe") } == .notFound)
        #expect(await kind { try await put("pipe", "x") } == .refused)
    }

    @Test func keysThatADirectoryCannotHoldAreRefused() async throws {
        try await put("a", "1")
        try await put("b/c", "1")
        let long = ByteString(String(repeating: "x", count: 256))
        for key in ["a/b", "b", "/x", "x//y", "../x", "x/..", ".", ".pail-store/tmp/x", "n\0l", long] as [ByteString] {
            #expect(await kind { try await put(key, "2") } == .refused, "\(key)")
            #expect(await kind { _ = try await store.head(key) } == .notFound, "\(key)")
            try await store.delete(key, condition: .none)
        }
        #expect(await kind { try await put("m/", "content") } == .refused)
        #expect(try await keys() == ["a", "b/c"])
    }

    @Test func directoriesMadeByHandAreMarkersWhileEmpty() async throws {
        try FileManager.default.createDirectory(atPath: path + "/d/e", withIntermediateDirectories: true)
        #expect(try await keys() == ["d/e/"])
        #expect(try await store.head("d/e/").metadata == [:])
        try await put("d/e/x", "1")
        #expect(try await keys() == ["d/e/x"])
        try await store.delete("d/e/x", condition: .none)
        #expect(try await keys() == [])
        #expect(!FileManager.default.fileExists(atPath: path + "/d"))
    }

    @Test func leftoversOfACrashAreRemovedWhenOld() async throws {
        try await put("a", "1")
        let temporary = path + "/.pail-store/tmp/99-crashed"
        try "half".write(toFile: temporary, atomically: false, encoding: .utf8)
        #expect(try await store.removeLeftovers(olderThanMilliseconds: 60_000) == 0)
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: -3600)], ofItemAtPath: temporary)
        #expect(try await store.removeLeftovers(olderThanMilliseconds: 60_000) == 1)
        #expect(!FileManager.default.fileExists(atPath: temporary))
        #expect(try await keys() == ["a"])
    }

    @Test func nobodySeesAnUploadBeforeItIsWhole() async throws {
        try await put("a", "old")
        let file = path + "/a"
        let source = Watching { (try? String(contentsOfFile: file, encoding: .utf8)) ?? "" }
        _ = try await store.write(
            UploadPlan(whole: source, sizeBytes: 3 << 20), to: "a", metadata: [:], contentType: nil, condition: .none)
        #expect(source.seen.withLock { $0 } == ["old", "old", "old"])
        #expect(try await store.head("a").sizeBytes == 3 << 20)
    }

    @Test func withoutItsDirectoryThereIsNoBucket() async throws {
        let missing = LocalStore(path: path + "/none")
        #expect(await kind { _ = try await missing.capabilities() } == .noBucket)
        #expect(await kind { _ = try await missing.head("a") } == .noBucket)
        #expect(await kind { try await put("a", "1", in: missing) } == .noBucket)
    }

    @Test func metadataOfAnObjectIsAnotherVersionToo() async throws {
        let first = try await put("a", "1")
        let second = try await store.copy(
            "a", etag: first.etag, to: "a", metadata: ["k": "w"], contentType: nil, condition: .none)
        #expect(first.etag != second.etag)
        #expect(
            await kind {
                _ = try await store.copy(
                    "a", etag: first.etag, to: "a", metadata: ["k": "x"], contentType: nil, condition: .none)
            } == .conditionFailed)
        #expect(try await store.head("a").metadata == ["k": "w"])
    }
}

/// Zeros, and what `look` returned at each read.
private final class Watching: ByteSource {
    let look: @Sendable () -> String
    let seen = Lock([String]())

    init(_ look: @escaping @Sendable () -> String) { self.look = look }

    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) {
        let text = look()
        seen.withLock { $0.append(text) }
        for index in buffer.indices { buffer[index] = 0 }
    }
}

extension DirectoryTests {
    @Test(arguments: [false, true]) func pagesTogetherAreAllKeysInOrder(_ delimited: Bool) async throws {
        let parts = ["a", "a.b", "a-", "b", "zz"]
        var keys: [String] = []
        for first in parts {
            for number in 0..<130 { keys.append("\(first)/\(parts[number % 5])\(number)") }
            for second in parts { keys.append("\(first)/\(second)-below/x") }
            keys.append(first + ".file")
        }
        for key in keys {
            let file = URL(fileURLWithPath: path + "/" + key)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data().write(to: file)
        }
        for prefix in ["", "a", "a/", "a/b"] {
            for limit in [99, 100, 137, 1_000] {
                var seen: [ByteString] = []
                var position: ListPosition?
                repeat {
                    let page = try await store.list(
                        prefix: ByteString(prefix), delimited: delimited, from: position, limit: limit)
                    seen += (page.objects.map(\.key) + page.prefixes).sorted()
                    position = page.next.map { .page($0) }
                } while position != nil
                let all = Set(keys.filter { $0.hasPrefix(prefix) }.map { shown($0, below: prefix, delimited) })
                #expect(seen == all.sorted(), "\(prefix) by \(limit)")
            }
        }
    }

    private func shown(_ key: String, below prefix: String, _ delimited: Bool) -> ByteString {
        let rest = key.dropFirst(prefix.count)
        guard delimited, let slash = rest.firstIndex(of: "/") else { return ByteString(key) }
        return ByteString(prefix + rest[...slash])
    }
}
