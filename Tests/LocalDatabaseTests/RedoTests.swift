import Foundation
import LocalDatabase
import Primitives
import Testing

/// What a body throws to be rolled back.
private let refusal = DatabaseError(code: -1, message: "refused by the test")

/// Transactions that are in the redo log and not yet committed by SQLite.
@Suite struct RedoTests {
    let directory: Directory

    init() throws { directory = try Directory() }

    private func makeDatabase(_ redoBytes: Int = Database.redoBytes) throws -> Database {
        let database = try Database(path: directory.database, redoBytes: redoBytes)
        try database.transaction { connection throws(DatabaseError) in
            try connection.execute(
                """
                CREATE TABLE item (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, data BLOB);
                CREATE TABLE twin (id INTEGER PRIMARY KEY)
                """)
        }
        return database
    }

    private func add(_ database: Database, _ name: String, _ data: [UInt8] = [1, 2, 3]) throws {
        try database.transaction { connection throws(DatabaseError) in
            try connection.run("INSERT INTO item(name, data) VALUES(?, ?)", [.text(name), .blob(data)])
            try connection.run("INSERT INTO twin VALUES(?)", [.int(connection.lastInsertedRowID)])
        }
    }

    private func names(_ database: Database) throws -> [String] {
        try database.read { connection throws(DatabaseError) in
            var names: [String] = []
            try connection.query("SELECT name FROM item JOIN twin ON twin.id = item.id ORDER BY item.id") {
                names.append($0.text(0))
            }
            return names
        }
    }

    private func names(afterKill directory: Directory) throws -> [String] {
        #expect(!LogCheck.isDamaged(databasePath: directory.database))
        return try names(Database(path: directory.database))
    }

    @Test func aTransactionIsNotCommittedAndSurvivesAKill() throws {
        let database = try makeDatabase()
        let size = directory.size("db-wal")
        for number in 1...50 { try add(database, "item \(number)") }
        #expect(directory.size("db-wal") == size)
        #expect(try names(afterKill: directory.copy()) == (1...50).map { "item \($0)" })
        try database.makeDurable()
        #expect(directory.size("db-wal") > size)
        #expect(try names(afterKill: directory.copy()) == (1...50).map { "item \($0)" })
    }

    @Test func eachKindOfValueIsRunAgain() throws {
        let database = try makeDatabase()
        let blob = [UInt8](0...255)
        try database.transaction { connection throws(DatabaseError) in
            let sql: StaticString = "INSERT INTO item VALUES (?, ?, ?)"
            try connection.run(sql, [.int(.min), .text("zwölf\0Boxkämpfer"), .blob(blob)])
            try connection.run(sql, [.int(.max), .text(""), .blob([])])
            try connection.run(sql, [.int(0), .null, .null])
        }
        let kept = try directory.copy()
        let copy = try Database(path: kept.database)
        var rows: [[SQLValue]] = []
        try copy.read { connection throws(DatabaseError) in
            try connection.query("SELECT id, name, data FROM item ORDER BY id") { row in
                rows.append([
                    .int(row.int(0)), row.isNull(1) ? .null : .text(row.text(1)),
                    row.isNull(2) ? .null : .blob(row.blob(2)),
                ])
            }
        }
        #expect(
            rows == [
                [.int(.min), .text("zwölf\0Boxkämpfer"), .blob(blob)], [.int(0), .null, .null],
                [.int(.max), .text(""), .blob([])],
            ])
    }

    /// The log is small here, so that kills come before, in and after commits.
    @Test func everyKillLeavesAllTransactions() throws {
        let database = try makeDatabase(4_096)
        var expected: [String] = []
        for number in 1...300 {
            try add(database, "item \(number)", [UInt8](repeating: 7, count: number % 90))
            expected.append("item \(number)")
            if number.isMultiple(of: 29) { #expect(try names(afterKill: directory.copy()) == expected) }
        }
    }

    @Test func whatThrowsIsUndoneAndTheOthersStay() throws {
        let database = try makeDatabase()
        try add(database, "first")
        for _ in 1...2 {
            #expect(throws: refusal) {
                try database.transaction { connection throws(DatabaseError) in
                    try connection.run("UPDATE item SET name = name || ?", [.text("!")])
                    try connection.run("DELETE FROM twin")
                    throw refusal
                }
            }
            #expect(try names(database) == ["first"])
        }
        #expect(throws: DatabaseError.self) { try add(database, "first") }
        try add(database, "second")
        #expect(try names(database) == ["first", "second"])
        #expect(try names(afterKill: directory.copy()) == ["first", "second"])
    }

    @Test func aTransactionLargerThanTheLog() throws {
        let database = try makeDatabase(4_096)
        try add(database, "small")
        try add(database, "large", [UInt8](repeating: 1, count: 100_000))
        #expect(try names(afterKill: directory.copy()) == ["small", "large"])
        try add(database, "after")
        #expect(try names(afterKill: directory.copy()) == ["small", "large", "after"])
    }

    @Test func aScriptIsCommittedAtOnce() throws {
        let database = try makeDatabase()
        try add(database, "one")
        try database.transaction { connection throws(DatabaseError) in
            try connection.execute("ALTER TABLE item ADD COLUMN more INTEGER")
        }
        try database.transaction { connection throws(DatabaseError) in
            try connection.run("UPDATE item SET more = ?", [.int(5)])
        }
        let kept = try directory.copy()
        let copy = try Database(path: kept.database)
        let more = try copy.read { connection throws(DatabaseError) in
            try connection.first("SELECT more FROM item") { $0.int(0) }
        }
        #expect(more == 5)
    }

    /// After power loss any part of the log may be missing or old.
    @Test func aTornLogLosesWholeTransactionsFromItsEnd() throws {
        let database = try makeDatabase()
        for number in 1...40 { try add(database, "item \(number)") }
        let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: directory.database + "-redo")))
        var generator = SeededGenerator(seed: 5)
        var counts = Set<Int>()
        for _ in 0..<40 {
            let copy = try directory.copy()
            var torn = whole
            let place = Int.random(in: 0..<5_000, using: &generator)
            for index in place..<min(place + 512, torn.count) {
                torn[index] = Bool.random(using: &generator) ? 0 : 0xa5
            }
            try Data(torn).write(to: URL(fileURLWithPath: copy.database + "-redo"))
            let found = try names(Database(path: copy.database))
            #expect(found == (1...40).prefix(found.count).map { "item \($0)" })
            counts.insert(found.count)
        }
        #expect(counts.count > 5)
    }

    @Test func aFlippedBitIsDamage() throws {
        let database = try makeDatabase()
        for number in 1...20 { try add(database, "item \(number)") }
        let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: directory.database + "-redo")))
        let used = Int(whole[8..<12].enumerated().reduce(UInt32(0)) { $0 | UInt32($1.element) << (8 * $1.offset) })
        #expect(used > 1_000)
        for place in stride(from: 64, to: 64 + used, by: 37) {
            let copy = try directory.copy()
            var flipped = whole
            flipped[place] ^= 4
            try Data(flipped).write(to: URL(fileURLWithPath: copy.database + "-redo"))
            let isPadding = !LogCheck.isDamaged(databasePath: copy.database)
            if isPadding { #expect(try names(Database(path: copy.database)).count == 20) }
        }
    }

    @Test func theLogOfAnotherDatabaseIsNotRun() throws {
        let database = try makeDatabase()
        try add(database, "one")
        let copy = try directory.copy()
        for name in ["db", "db-wal"] { try FileManager.default.removeItem(atPath: copy.path + "/" + name) }
        let new = try Database(path: copy.database)
        let tables = try new.read { connection throws(DatabaseError) in
            try connection.first("SELECT count(*) FROM sqlite_master") { $0.int(0) }
        }
        #expect(tables == 0)
    }

    @Test func aFullDiskRefusesAndKeepsWhatWasAcknowledged() throws {
        let database = try makeDatabase(8_192)
        try database.read { connection throws(DatabaseError) in try connection.execute("PRAGMA max_page_count = 12") }
        var acknowledged: [String] = []
        var refused = 0
        for number in 1...200 {
            do {
                try add(database, "item \(number)", [UInt8](repeating: 3, count: 400))
                acknowledged.append("item \(number)")
            } catch let error as DatabaseError {
                #expect(error.isFull)
                refused += 1
            }
        }
        #expect(refused > 0 && acknowledged.count > 20)
        #expect(try names(database) == acknowledged)
        try database.read { connection throws(DatabaseError) in try connection.execute("PRAGMA max_page_count = 100000")
        }
        try add(database, "after")
        #expect(try names(afterKill: directory.copy()) == acknowledged + ["after"])
    }

    @Test func aCopyWithWhatTheLogHolds() throws {
        let database = try makeDatabase()
        try add(database, "one")
        let before = try directory.copy()
        let copy = try #require(ReplayedCopy(of: before.database))
        #expect(try names(Database(path: copy.path)) == ["one"])
        try database.makeDurable()
        #expect(ReplayedCopy(of: try directory.copy().database) == nil)
    }

    @Test func anObserverHearsOfRowsAndOfUndoing() throws {
        final class Observer: RowObserver, @unchecked Sendable {
            var rows: [String] = []
            var undoings = 0
            func changed(table: UnsafePointer<CChar>, row: Int64) { rows.append("\(String(cString: table)) \(row)") }
            func undone() { undoings += 1 }
        }
        let observer = Observer()
        _ = try makeDatabase()
        let database = try Database(path: directory.database, observer: observer)
        try add(database, "one")
        #expect(observer.rows == ["item 1", "twin 1"])
        #expect(throws: refusal) {
            try database.transaction { connection throws(DatabaseError) in
                try connection.run("UPDATE item SET name = 'x'")
                throw refusal
            }
        }
        #expect(observer.undoings == 1)
        #expect(observer.rows.count(where: { $0 == "item 1" }) >= 2)
    }
}
