import BlockCache
import Foundation
import LocalDatabase
import Primitives
import Testing

@testable import Mounting
@testable import Tree

/// Caches that are damaged in every way that can be thought of: a start uses them with all that was in them, or sets them
/// aside, says why, and keeps what the bucket doesn't have.
/// PAIL_DAMAGE_SEEDS is how many seeds random damage is done with.
@Suite struct DamagedCacheTests {
    private static let seeds = ProcessInfo.processInfo.environment["PAIL_DAMAGE_SEEDS"].flatMap { Int($0) } ?? 8

    private func expectKept(_ outcome: Trial.Outcome, _ what: String) {
        #expect(outcome.lost.isEmpty, "\(what): \(outcome.notice ?? "no notice")\n\(outcome.reports)")
        #expect(outcome.displaced.isEmpty || outcome.notice != nil, "\(what): not at their paths, and nobody is told")
    }

    @Test(arguments: [true, false])
    func anUndamagedCacheIsUsed(killed: Bool) throws {
        let outcome = try Scene(killed: killed).trial().run()
        #expect(outcome.notice == nil && outcome.displaced.isEmpty && outcome.lost.isEmpty)
    }

    @Test func eachByteOfTheIdentity() throws {
        let scene = try Scene(killed: false)
        var trial = try scene.trial()
        let identity = try trial.bytes("identity")
        for offset in identity.indices {
            var bytes = identity
            bytes[offset] ^= offset % 2 == 0 ? 0x01 : 0xFF
            try trial.write(bytes, to: "identity")
            guard offset % 40 == 0 else {
                #expect(CacheIdentity.read(trial.directory) == .damaged, "byte \(offset)")
                continue
            }
            let outcome = try trial.run()
            #expect(outcome.notice?.contains("its identity can't be read") == true, "byte \(offset)")
            expectKept(outcome, "byte \(offset) of the identity")
            trial = try scene.trial()
        }
    }

    @Test func eachByteOfTheMarkerMeansThatNothingUnsyncedIsCertain() throws {
        let scene = try Scene(killed: true)
        let trial = try scene.trial()
        let marker = try trial.bytes("running")
        #expect(RunningMarker(directory: trial.directory).priorStop() == .killed)
        for offset in marker.indices.dropLast() {
            var bytes = marker
            bytes[offset] ^= 1
            try trial.write(bytes, to: "running")
            #expect(RunningMarker(directory: trial.directory).priorStop() == .powerLost, "byte \(offset)")
        }
        expectKept(try trial.run(), "the marker")
    }

    @Test(arguments: [true, false])
    func aShortenedDatabase(killed: Bool) throws {
        let scene = try Scene(killed: killed)
        let whole = try scene.trial().bytes("tree.db")
        let lengths = [0, 1, 16, 100, 512, 4095, 4096, 4097] + stride(from: 5000, to: whole.count, by: 20_001)
        for length in lengths where length < whole.count {
            let trial = try scene.trial()
            try trial.write(Array(whole[..<length]), to: "tree.db")
            let outcome = try trial.run()
            expectKept(outcome, "database of \(length) bytes")
            if !killed { #expect(outcome.notice != nil, "\(length) bytes") }
        }
    }

    @Test func aShortenedOrMissingLog() throws {
        let scene = try Scene(killed: true)
        let whole = try scene.trial().bytes("tree.db-wal")
        for length in [0, 31, 32, 33, 4151, 4152, 50_000, whole.count / 2, whole.count - 1] {
            let trial = try scene.trial()
            try trial.write(Array(whole[..<length]), to: "tree.db-wal")
            #expect(try trial.run().lost.isEmpty, "log of \(length) bytes")
        }
    }

    @Test(arguments: 0..<seeds)
    func flippedBytesInTheDatabase(seed: Int) throws {
        let scene = try Scene(killed: false)
        let whole = try scene.trial().bytes("tree.db")
        var random = SeededGenerator(seed: UInt64(seed))
        for number in [1, 1, 20, 400] {
            var bytes = whole
            for _ in 0..<number {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
            }
            let trial = try scene.trial()
            try trial.write(bytes, to: "tree.db")
            expectKept(try trial.run(), "seed \(seed), \(number) bytes")
        }
    }

    @Test(arguments: 0..<seeds)
    func flippedBytesInTheLog(seed: Int) throws {
        let scene = try Scene(killed: true)
        let whole = try scene.trial().bytes("tree.db-wal")
        var random = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<2 {
            var bytes = whole
            // The last frame may be one that the daemon died over.
            bytes[Int.random(in: 0..<(bytes.count - 4120), using: &random)] ^= UInt8.random(in: 1...255, using: &random)
            let trial = try scene.trial()
            try trial.write(bytes, to: "tree.db-wal")
            let outcome = try trial.run()
            #expect(outcome.notice?.contains("write-ahead log") == true, "seed \(seed)")
            expectKept(outcome, "seed \(seed)")
        }
    }

    @Test func aDamagedPageMap() throws {
        let scene = try Scene(killed: true)
        for offset in [0, 20, 33, 4096, 4096 + 16, 4096 + 299] {
            let trial = try scene.trial()
            let map = try trial.partialContent().path + ".map"
            var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: map)))
            bytes[offset] ^= 4
            try Data(bytes).write(to: URL(fileURLWithPath: map))
            let outcome = try trial.run()
            #expect(outcome.lost.isEmpty && outcome.displaced == ["a/b/c/big"], "byte \(offset)")
        }
    }

    @Test func aMissingDatabase() throws {
        let scene = try Scene(killed: true)
        for names in [["tree.db"], ["tree.db", "tree.db-wal"], ["identity"], ["identity", "tree.db", "tree.db-wal"]] {
            let trial = try scene.trial()
            for name in names { try FileManager.default.removeItem(atPath: trial.path(name)) }
            let outcome = try trial.run()
            #expect(outcome.notice?.contains("is missing") == true, "\(names)")
            expectKept(outcome, "without \(names)")
        }
    }

    @Test func theDatabaseOfAnotherCache() throws {
        let trial = try Scene(killed: false).trial()
        try trial.write(try Scene(killed: false).trial().bytes("tree.db"), to: "tree.db")
        let outcome = try trial.run()
        #expect(outcome.notice?.contains("that of another cache") == true)
        #expect(outcome.lost.isEmpty)
    }

    @Test func aCacheWithNothingInItBeginsAnew() throws {
        let scene = try Scene(killed: false)
        let trial = try scene.trial()
        try Directory.removeContents(trial)
        let before = try trial.bytes("identity")
        #expect(try trial.start().notice == nil)
        #expect(SetAside.all(in: trial.directory).isEmpty)
        // Tags of uploads begin with it: they must not come again.
        #expect(try trial.bytes("identity") != before)
    }

    @Test func aMoveThatWasCutOffIsCarriedOn() throws {
        let scene = try Scene(killed: true)
        for moved in [[], ["reason"], ["reason", "tree.db"], ["reason", "tree.db", "tree.db-wal", "content"]] {
            let trial = try scene.trial()
            let begun = trial.path("set-aside/20260102T030405Z.partial")
            try FileManager.default.createDirectory(atPath: begun, withIntermediateDirectories: true)
            try Data("reason it was tried\n".utf8).write(to: URL(fileURLWithPath: trial.path("reason")))
            for name in moved { try FileManager.default.moveItem(atPath: trial.path(name), toPath: begun + "/" + name) }
            let outcome = try trial.run()
            #expect(outcome.lost.isEmpty, "\(moved)")
            #expect((outcome.notice == nil) == moved.isEmpty, "\(moved): \(outcome.notice ?? "")")
        }
    }
}

extension Directory {
    /// As after the first start that ended before there was a database.
    fileprivate static func removeContents(_ trial: Trial) throws {
        for name in ["tree.db", "content"] { try Directory.remove(trial.path(name)) }
    }
}
