import Foundation
import LocalDatabase
import Primitives
import Testing

/// Transactions of two rows that belong together, so that half a transaction shows.
@Suite struct CrashTests {
    private func makeDatabase(_ directory: Directory) throws -> Database {
        let database = try Database(path: directory.database)
        try database.transaction { connection throws(DatabaseError) in
            try connection.execute(
                "CREATE TABLE one (id INTEGER PRIMARY KEY, data BLOB); CREATE TABLE two (id INTEGER PRIMARY KEY)")
        }
        return database
    }

    private func addPair(_ database: Database, _ id: Int64) throws {
        try database.transaction { connection throws(DatabaseError) in
            try connection.run("INSERT INTO one VALUES (?, zeroblob(500))", [.int(id)])
            try connection.run("INSERT INTO two VALUES (?)", [.int(id)])
        }
    }

    /// How many pairs there are, after checking that there is no half one and no gap.
    private func pairs(_ directory: Directory) throws -> Int64 {
        let database = try Database(path: directory.database)
        #expect(try database.integrityCheck().isEmpty)
        return try database.read { connection throws(DatabaseError) -> Int64 in
            let ones = try connection.first("SELECT count(*), ifnull(max(id), 0) FROM one") { ($0.int(0), $0.int(1)) }
            let twos = try connection.first("SELECT count(*), ifnull(max(id), 0) FROM two") { ($0.int(0), $0.int(1)) }
            #expect(ones! == twos!)
            #expect(ones!.0 == ones!.1)
            return ones!.0
        }
    }

    @Test func whatWasCommittedSurvivesAKill() throws {
        let directory = try Directory()
        let database = try makeDatabase(directory)
        for id in 1...2000 as ClosedRange<Int64> {  // passes several checkpoints
            try addPair(database, id)
            if id.isMultiple(of: 211) { #expect(try pairs(directory.copy()) == id) }
        }
    }

    @Test func aTransactionInTheMiddleIsNotThere() throws {
        let directory = try Directory()
        let database = try makeDatabase(directory)
        try addPair(database, 1)
        var copy: Directory?
        try database.transaction { connection throws(DatabaseError) in
            // More than the page cache holds, so that uncommitted pages are in the log.
            try connection.execute("PRAGMA cache_size = 10; PRAGMA cache_spill = 1")
            for id in 2...3000 as ClosedRange<Int64> {
                try connection.run("INSERT INTO one VALUES (?, zeroblob(500))", [.int(id)])
            }
            copy = try? directory.copy()
        }
        #expect(copy!.size("db-wal") > 500_000)
        #expect(try pairs(copy!) == 1)
    }

    /// After power loss any end of the log may be missing or wrong.
    @Test func aTornLogLosesWholeTransactionsFromItsEnd() throws {
        let directory = try Directory()
        let database = try makeDatabase(directory)
        for id in 1...20 as ClosedRange<Int64> {
            try addPair(database, id)
            try database.makeDurable()
        }
        let whole = directory.size("db-wal")
        var generator = SeededGenerator(seed: 11)
        var last: Int64 = 0
        let table = 12_000  // the tables were created within these first bytes
        let cuts = (0..<25).map { _ in Int.random(in: table..<whole, using: &generator) }.sorted()
        for (index, cut) in cuts.enumerated() {
            let copy = try directory.copy()
            // It may hold what the other log has lost.
            try FileManager.default.removeItem(atPath: copy.database + "-redo")
            let log = try FileHandle(forUpdating: URL(fileURLWithPath: copy.database + "-wal"))
            if index.isMultiple(of: 2) {
                try log.truncate(atOffset: UInt64(cut))
            } else {
                try log.seek(toOffset: UInt64(cut))
                try log.write(contentsOf: Data(repeating: 0xA5, count: whole - cut))
            }
            try log.close()
            let count = try pairs(copy)
            #expect(count >= last && count < 20)
            last = count
        }
        #expect(last > 10)
    }

    @Test func noDatabaseIsReported() throws {
        let directory = try Directory()
        try Data(repeating: 0x41, count: 10_000).write(to: URL(fileURLWithPath: directory.database))
        let error = #expect(throws: DatabaseError.self) { _ = try Database(path: directory.database) }
        #expect(error?.isCorrupt == true)
    }

    @Test func damageIsReported() throws {
        let directory = try Directory()
        var database: Database? = try makeDatabase(directory)
        for id in 1...500 as ClosedRange<Int64> { try addPair(database!, id) }
        database = nil  // checkpoints
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: directory.database))
        try file.seek(toOffset: 4096)
        try file.write(contentsOf: Data(repeating: 0xFF, count: directory.size("db") - 4096))
        try file.close()
        let damaged = try Database(path: directory.database)
        let error = #expect(throws: DatabaseError.self) {
            try damaged.read { connection throws(DatabaseError) in try connection.run("SELECT data FROM one") }
        }
        #expect(error?.isCorrupt == true)
        #expect(try !damaged.integrityCheck().isEmpty)
    }

    @Test func noDirectory() {
        let error = #expect(throws: DatabaseError.self) { _ = try Database(path: "/nonexistent/db") }
        #expect(error?.isCorrupt == false && error?.isFull == false)
    }
}
