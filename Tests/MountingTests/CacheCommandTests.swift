import Foundation
import Primitives
import Testing

@testable import Mounting

/// What `pail cache` does with caches, and whose caches a start refuses.
@Suite struct CacheCommandTests {
    private func failure(_ body: () throws -> Void) -> MountFailure? {
        do {
            try body()
            return nil
        } catch { return error as? MountFailure }
    }

    /// An identity with other fields, and a check that is right.
    private func rewrite(_ trial: Trial, _ field: String, _ value: String) throws {
        let text = String(decoding: try trial.bytes("identity"), as: UTF8.self)
        let lines = text.split(separator: "\n").dropLast().map {
            $0.hasPrefix(field + " ") ? "\(field) \(value)" : "\($0)"
        }
        let fields = lines.map { $0 + "\n" }.joined()
        try trial.write(Array((fields + "check \(ByteString(fields).fnv1aHexadecimal)\n").utf8), to: "identity")
    }

    private func listing(_ trial: Trial) throws -> [String] {
        try #require(FileManager.default.enumerator(atPath: trial.directory.path)).compactMap { $0 as? String }.sorted()
    }

    @Test func aNewerVersionsCacheIsLeftAlone() throws {
        let trial = try Scene(killed: true).trial()
        try rewrite(trial, "format", "99")
        let before = try listing(trial)
        let found = failure { _ = try trial.start() }
        #expect(found?.code == .cache)
        #expect(found?.message.contains("a newer Pail (format 99, this one knows \(CacheFormat.current))") == true)
        #expect(try listing(trial) == before)
    }

    @Test func anOlderVersionsCacheIsLeftAlone() throws {
        let trial = try Scene(killed: false).trial()
        try trial.write(Array("format 1\nbucket s3://b\nendpoint -\nid 0\n".utf8), to: "identity")
        let before = try listing(trial)
        #expect(failure { _ = try trial.start() }?.message.contains("an older Pail (format 1") == true)
        #expect(try listing(trial) == before)
    }

    @Test func anotherBucketsCacheIsLeftAlone() throws {
        let trial = try Scene(killed: true).trial()
        try rewrite(trial, "bucket", "s3://other")
        let found = failure { _ = try CacheIdentity.find(trial.directory, for: trial.scene.configuration) }
        #expect(found?.code == .cache && found?.message.contains("is that of s3://other: name another") == true)
    }

    @Test func aSummaryCountsWhatWaits() throws {
        let scene = try Scene(killed: true)
        let summary = try #require(try CacheCatalog.at(try scene.trial().directory.path).first)
        #expect(summary.dirtyFiles == 4 && summary.state == .idle)
        #expect(summary.bucket == scene.configuration.bucket?.description)
        // The files, the folders that they lie in, and those beside.
        #expect(summary.waiting == 4 + 3 + 120)
    }

    @Test func verifyingFindsNothingWhereNothingIsWrong() throws {
        for killed in [true, false] {
            let trial = try Scene(killed: killed).trial()
            let before = try trial.bytes("tree.db")
            let found = try CacheVerification(trial.directory)
            #expect(found.faults.isEmpty && found.dirtyFiles == 4)
            #expect(try trial.bytes("tree.db") == before)
        }
    }

    @Test func verifyingNamesEachFault() throws {
        let trial = try Scene(killed: false).trial()
        let content = try trial.partialContent().path
        try FileManager.default.removeItem(atPath: content + ".map")
        try FileManager.default.copyItem(atPath: content, toPath: String(content.dropLast(1)) + "ffff01")
        var database = try trial.bytes("tree.db")
        for offset in 5000..<9000 { database[offset] = 0 }
        try trial.write(database, to: "tree.db")
        let faults = try CacheVerification(trial.directory).faults
        #expect(faults.contains { $0.hasPrefix("the database: ") })
        #expect(faults.contains { $0.contains("its page map can't be read") })
    }

    @Test func anExportOverwritesNothing() throws {
        let trial = try Scene(killed: true).trial()
        let place = trial.directory.path + "-export"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        try Data("mine".utf8).write(to: URL(fileURLWithPath: place + "/mine"))
        #expect(failure { _ = try CacheExport(trial.directory, to: place) }?.message.contains("is not empty") == true)
        #expect(FileManager.default.contents(atPath: place + "/mine") == Data("mine".utf8))
    }

    @Test func anExportSaysWhatIsMissing() throws {
        let trial = try Scene(killed: true).trial()
        let place = trial.directory.path + "-export"
        let export = try CacheExport(trial.directory, to: place)
        #expect(export.whole == 3 && export.partial == 1 && export.failed == 0)
        let report = try String(contentsOfFile: place + "/report", encoding: .utf8)
        let size = 300 * 4096 - 100
        #expect(
            report.contains(
                "partial\tfiles/a/b/c/big\t\(size) bytes\tmissing 0-65535,98304-\(size - 1)\tof object a/b/c/big version \"1\""
            ))
        #expect(report.contains("directory\tfiles/folder 17\n"))
    }

    @Test func aCacheInUseIsLeftAlone() throws {
        let trial = try Scene(killed: true).trial()
        let lock = try #require(try CacheLock(trial.directory))
        #expect(failure { _ = try CacheVerification(trial.directory) }?.code == .cache)
        #expect(failure { _ = try CacheExport(trial.directory, to: trial.directory.path + "-x") }?.code == .cache)
        #expect(failure { try CacheRemoval.remove(trial.directory, discarding: true) }?.code == .cache)
        #expect(!FileManager.default.fileExists(atPath: trial.directory.path + "-x"))
        withExtendedLifetime(lock) {}
    }

    @Test func onlyWhatHoldsNothingIsRemoved() throws {
        let trial = try Scene(killed: true).trial()
        #expect(failure { try CacheRemoval.remove(trial.directory, discarding: false) }?.code == .incomplete)
        #expect(try CacheCatalog.at(trial.directory.path).first?.dirtyFiles == 4)
        // Set aside, it still counts.
        try trial.write([1, 2, 3], to: "tree.db")
        try FileManager.default.removeItem(atPath: trial.path("tree.db-wal"))
        #expect(try trial.start().notice != nil)
        #expect(failure { try CacheRemoval.remove(trial.directory, discarding: false) }?.code == .incomplete)
        try CacheRemoval.remove(trial.directory, discarding: true)
        #expect(!FileManager.default.fileExists(atPath: trial.directory.path))
    }
}
