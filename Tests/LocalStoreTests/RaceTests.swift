import Foundation
import LocalStore
import ObjectStore
import Primitives
import Testing

/// Several stores, as of several processes, on one directory.
@Suite("LocalStore's races") final class RaceTests {
    let path = NSTemporaryDirectory() + "/pail-race-\(UUID().uuidString)"

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    private static func add(_ store: LocalStore, to key: ByteString) async throws {
        while true {
            let body = try await store.read(key, range: nil, ifMatch: nil)
            guard let count = Int(String(decoding: body.bytes, as: UTF8.self)), let etag = body.info.etag else {
                throw StoreError(.corrupt, "count")
            }
            do throws(StoreError) {
                _ = try await store.write(
                    UploadPlan(bytes: Array("\(count + 1)".utf8)), to: key, metadata: [:], contentType: nil,
                    condition: .matches(etag))
                return
            } catch {
                if error.kind != .conditionFailed { throw error }
            }
        }
    }

    @Test(.timeLimit(.minutes(1))) func conditionalWritersLoseNoIncrement() async throws {
        let stores = [LocalStore(path: path), LocalStore(path: path)]
        _ = try await stores[0].write(
            UploadPlan(bytes: Array("0".utf8)), to: "n", metadata: [:], contentType: nil, condition: .absent)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for store in stores + stores {
                group.addTask { for _ in 0..<15 { try await Self.add(store, to: "n") } }
            }
            try await group.waitForAll()
        }
        #expect(try await stores[0].read("n", range: nil, ifMatch: nil).bytes == Array("60".utf8))
    }

    @Test(.timeLimit(.minutes(1))) func directoriesAreMadeAndRemovedUnderEachOther() async throws {
        let stores = [LocalStore(path: path), LocalStore(path: path)]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, store) in (stores + stores).enumerated() {
                group.addTask {
                    let file = ByteString("a/b/c/\(number)")
                    for round in 0..<25 {
                        let marker = ByteString("a/b/m\(number)/")
                        for key in [file, marker] {
                            _ = try await store.write(
                                UploadPlan(bytes: []), to: key, metadata: ["r": "\(round)"], contentType: nil,
                                condition: .absent)
                        }
                        let marked = try await store.head(marker).metadata
                        if marked != ["r": "\(round)"] { throw StoreError(.corrupt, "head", key: marker) }
                        _ = try await store.head(file)
                        let page = try await store.list(prefix: "a/b/", delimited: false, from: nil, limit: 1000)
                        if !page.objects.map(\.key).contains(marker) { throw StoreError(.corrupt, "list") }
                        try await store.delete(marker, condition: .none)
                        try await store.delete(file, condition: .none)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: path) == [".pail-store"])
    }
}
