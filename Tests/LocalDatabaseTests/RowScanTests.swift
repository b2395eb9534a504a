import Foundation
import Primitives
import Testing

@testable import LocalDatabase

/// Rows read from a file's bytes beside those that SQLite reads.
@Suite struct RowScanTests {
    /// Rows of all kinds of values, some over several pages, many deleted again.
    private func fill(_ database: Database) throws {
        try database.transaction { connection throws(DatabaseError) in
            try connection.execute("CREATE TABLE one (id INTEGER PRIMARY KEY, a INTEGER, b BLOB, c TEXT)")
        }
        var random = SeededGenerator(seed: 5)
        for id in 1...1500 as ClosedRange<Int64> {
            let length = id % 100 == 0 ? 20_000 : Int.random(in: 0...300, using: &random)
            let number = Int64.random(in: -70_000...70_000, using: &random) &* (id % 7 == 0 ? 1 << 40 : 1)
            let blob = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            try database.transaction { connection throws(DatabaseError) in
                try connection.run(
                    "INSERT INTO one VALUES (?, ?, ?, ?)",
                    [.int(id), .int(number), id % 11 == 0 ? .null : .blob(blob), .text("row \(id) ü")])
            }
        }
        try database.transaction { connection throws(DatabaseError) in
            try connection.run("DELETE FROM one WHERE id BETWEEN 300 AND 900")
        }
    }

    private func rows(of path: String) -> [Int64: [SQLValue]] {
        var rows: [Int64: [SQLValue]] = [:]
        RowScan.rows(of: path) { id, columns in if columns.count == 4 { rows[id] = columns } }
        return rows
    }

    private func queried(_ database: Database) throws -> [Int64: [SQLValue]] {
        var rows: [Int64: [SQLValue]] = [:]
        try database.read { connection throws(DatabaseError) in
            try connection.query("SELECT id, a, b, c FROM one") { row in
                rows[row.int(0)] = [
                    .null, .int(row.int(1)), row.isNull(2) ? .null : .blob(row.blob(2)), .text(row.text(3)),
                ]
            }
        }
        return rows
    }

    @Test func findsWhatIsCommittedInFileAndLog() throws {
        let directory = try Directory()
        let database = try Database(path: directory.database)
        try fill(database)
        try database.makeDurable()
        try database.read { connection throws(DatabaseError) in try connection.execute("PRAGMA wal_checkpoint") }
        try database.transaction { connection throws(DatabaseError) in
            try connection.run("UPDATE one SET a = a + 1 WHERE id < 100")
        }
        try database.makeDurable()
        let expected = try queried(database)
        let copy = try directory.copy()
        #expect(copy.size("db-wal") > 0 && copy.size("db") > 20_000)
        #expect(expected.count == 899)
        #expect(rows(of: copy.database) == expected)
    }

    @Test func findsRowsWithoutTheFirstPage() throws {
        let directory = try Directory()
        var database: Database? = try Database(path: directory.database)
        try fill(database!)
        let expected = try queried(database!)
        database = nil  // checkpoints
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: directory.database))
        try file.write(contentsOf: Data(repeating: 0x55, count: 4096))
        try file.close()
        let found = rows(of: directory.database)
        // What was deleted may come back, what was there must.
        #expect(expected.allSatisfy { found[$0.key] == $0.value })
    }

    @Test func anyBytesAreBorne() throws {
        let directory = try Directory()
        var database: Database? = try Database(path: directory.database)
        try fill(database!)
        database = nil  // checkpoints
        let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: directory.database)))
        var random = SeededGenerator(seed: 9)
        let copy = try Directory()
        for _ in 0..<8 {
            var bytes = Array(whole[..<Int.random(in: 0...whole.count, using: &random)])
            for _ in 0..<300 where !bytes.isEmpty {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            try Data(bytes).write(to: URL(fileURLWithPath: copy.database))
            #expect(rows(of: copy.database).count <= 1500 * 2)
        }
    }

    // MARK: the log

    @Test func aSoundLogIsSound() throws {
        let directory = try Directory()
        let database = try Database(path: directory.database)
        #expect(!LogCheck.isDamaged(databasePath: directory.path + "/nothing"))
        try fill(database)
        #expect(!LogCheck.isDamaged(databasePath: try directory.copy().database))
    }

    @Test func aKillInTheMiddleOfAFrameIsNoDamage() throws {
        let directory = try Directory()
        let database = try Database(path: directory.database)
        try fill(database)
        let copy = try directory.copy()
        let log = try FileHandle(forUpdating: URL(fileURLWithPath: copy.database + "-wal"))
        try log.truncate(atOffset: UInt64(copy.size("db-wal") - 2000))
        try log.close()
        #expect(!LogCheck.isDamaged(databasePath: copy.database))
    }

    @Test func damageBeforeTheEndOfTheLogIsNoticed() throws {
        let directory = try Directory()
        let database = try Database(path: directory.database)
        try database.transaction { connection throws(DatabaseError) in
            try connection.execute("CREATE TABLE one (id INTEGER PRIMARY KEY, data BLOB)")
        }
        for id in 1...20 as ClosedRange<Int64> {
            try database.transaction { connection throws(DatabaseError) in
                try connection.run("INSERT INTO one VALUES (?, zeroblob(100))", [.int(id)])
            }
        }
        let copy = try directory.copy()
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: copy.database + "-wal")))
        let lastFrame = bytes.count - 4120
        var random = SeededGenerator(seed: 3)
        let places = [Int](0..<56) + (0..<20).map { _ in Int.random(in: 0..<lastFrame, using: &random) }
        for place in places {
            var damaged = bytes
            damaged[place] ^= UInt8.random(in: 1...255, using: &random)
            try Data(damaged).write(to: URL(fileURLWithPath: copy.database + "-wal"))
            #expect(LogCheck.isDamaged(databasePath: copy.database), "byte \(place)")
        }
    }
}
