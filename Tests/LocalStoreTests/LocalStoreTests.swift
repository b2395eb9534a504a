import Foundation
import ObjectStore
import Primitives
import StoreConformance
import Testing

@testable import LocalStore

@Suite("LocalStore") final class LocalStoreTests {
    let path = NSTemporaryDirectory() + "/pail-local-\(UUID().uuidString)"
    let store: LocalStore

    init() throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        store = LocalStore(path: path)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    @Test(arguments: ConformanceSuite.cases) func conforms(_ rule: ConformanceCase) async throws {
        try await ConformanceSuite(store: store).run(rule)
        let rest = try FileManager.default.contentsOfDirectory(atPath: path)
        #expect(rest == [".pail-store"] || rest == [], "left behind: \(rest)")
        let temporary = try? FileManager.default.contentsOfDirectory(atPath: path + "/.pail-store/tmp")
        #expect(temporary ?? [] == [])
    }

    @Test(arguments: ConformanceSuite.cases) func conformsWithoutExtendedAttributes(
        _ rule: ConformanceCase
    ) async throws {
        try await ConformanceSuite(store: LocalStore(path: path, avoidsAttributes: true)).run(rule)
        let sidecars = try? FileManager.default.contentsOfDirectory(atPath: path + "/.pail-store/meta")
        #expect(sidecars ?? [] == [], "metadata outlives its objects")
    }
}
