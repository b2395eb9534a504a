import Foundation
import LocalStore
import ObjectStore
import Primitives
import StoreConformance
import Testing

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
}
