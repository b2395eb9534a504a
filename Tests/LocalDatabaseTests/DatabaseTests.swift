import Foundation
import LocalDatabase
import Testing

/// What a body throws to be rolled back.
private let refusal = DatabaseError(code: -1, message: "refused by the test")

@Suite struct DatabaseTests {
    let directory: Directory
    let database: Database

    init() throws {
        directory = try Directory()
        database = try Database(path: directory.database)
        try database.transaction { connection throws(DatabaseError) in
            try connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE, data BLOB)")
        }
    }

    private func insert(_ id: Int64, _ name: String) throws(DatabaseError) {
        try database.transaction { connection throws(DatabaseError) in
            try connection.run("INSERT INTO item (id, name) VALUES (?, ?)", [.int(id), .text(name)])
        }
    }

    private func count(_ database: Database) throws(DatabaseError) -> Int64 {
        try database.read { connection throws(DatabaseError) -> Int64 in
            try connection.first("SELECT count(*) FROM item") { row in row.int(0) } ?? -1
        }
    }

    @Test func valuesComeBackAsTheyWere() throws {
        let blob = [UInt8](0...255)
        try database.transaction { connection throws(DatabaseError) in
            let sql: StaticString = "INSERT INTO item VALUES (?, ?, ?)"
            try connection.run(sql, [.int(.min), .text("zwölf\0Boxkämpfer"), .blob(blob)])
            try connection.run(sql, [.int(.max), .text(""), .blob([])])
            #expect(connection.lastInsertedRowID == .max)
            try connection.run(sql, [.int(0), .null, .null])
            try connection.run("UPDATE item SET data = data")
            #expect(connection.changes == 3)
        }
        try database.read { connection throws(DatabaseError) in
            var rows = 0
            try connection.query("SELECT id, name, data FROM item ORDER BY id") { row in
                switch rows {
                case 0:
                    #expect(row.int(0) == .min && row.text(1) == "zwölf\0Boxkämpfer" && row.blob(2) == blob)
                case 1:
                    #expect(row.isNull(1) && row.isNull(2) && row.text(1).isEmpty && row.blob(2).isEmpty)
                default:
                    #expect(row.int(0) == .max && !row.isNull(1) && !row.isNull(2) && row.blob(2).isEmpty)
                }
                rows += 1
            }
            #expect(rows == 3)
        }
    }

    @Test func aThrowRollsBack() throws {
        #expect(throws: refusal) {
            try database.transaction { connection throws(DatabaseError) in
                try connection.run("INSERT INTO item (id) VALUES (1)")
                throw refusal
            }
        }
        #expect(try count(database) == 0)
        try insert(1, "after")
        #expect(try count(database) == 1)
    }

    @Test func aRowsThrowFreesTheStatement() throws {
        try insert(1, "one")
        for _ in 0..<2 {
            #expect(throws: refusal) {
                try database.read { connection throws(DatabaseError) in
                    try connection.query("SELECT id FROM item") { _ throws(DatabaseError) in throw refusal }
                }
            }
        }
        try insert(2, "two")
    }

    @Test func theSameStatementInsideItself() throws {
        try insert(1, "one")
        try insert(2, "two")
        var pairs = 0
        try database.read { connection throws(DatabaseError) in
            func each(_ body: (Row) throws(DatabaseError) -> Void) throws(DatabaseError) {
                try connection.query("SELECT id FROM item", [], body)
            }
            try each { _ throws(DatabaseError) in try each { _ in pairs += 1 } }
        }
        #expect(pairs == 4)
    }

    @Test func violatedConstraint() throws {
        try insert(1, "same")
        let error = #expect(throws: DatabaseError.self) { try insert(2, "same") }
        #expect(error?.isConstraint == true && error?.isCorrupt == false && error?.isFull == false)
        #expect(try count(database) == 1)
    }

    @Test func wrongSQL() {
        let error = #expect(throws: DatabaseError.self) {
            try database.read { connection throws(DatabaseError) in try connection.run("SELEKT 1") }
        }
        #expect(error?.message.contains("SELEKT") == true)
    }

    @Test func userVersionIsKept() throws {
        try database.transaction { connection throws(DatabaseError) in
            #expect(try connection.userVersion() == 0)
            try connection.setUserVersion(7)
        }
        let copy = try directory.copy()
        let version = try Database(path: copy.database).read { connection throws(DatabaseError) -> Int in
            try connection.userVersion()
        }
        #expect(version == 7)
    }

    @Test func openTwiceIsBusy() {
        let error = #expect(throws: DatabaseError.self) { _ = try Database(path: directory.database) }
        #expect(error?.isBusy == true)
    }

    @Test func closedAndOpenedAgain() throws {
        let other = try Directory()
        for round in 1...3 {
            let database = try Database(path: other.database)
            try database.transaction { connection throws(DatabaseError) in
                try connection.execute("CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY)")
                try connection.run("INSERT INTO item DEFAULT VALUES")
            }
            #expect(try count(database) == round)
        }
    }

    @Test func theFileIsPrivate() throws {
        for name in ["db", "db-wal"] {
            let attributes = try FileManager.default.attributesOfItem(atPath: directory.path + "/" + name)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
        }
        #expect(!FileManager.default.fileExists(atPath: directory.database + "-shm"))
    }

    @Test func fullIsReportedAndRolledBack() throws {
        try insert(1, "before")
        try database.read { connection throws(DatabaseError) in try connection.execute("PRAGMA max_page_count = 20") }
        let error = #expect(throws: DatabaseError.self) {
            try database.transaction { connection throws(DatabaseError) in
                try connection.run("INSERT INTO item VALUES (2, 'small', NULL)")
                try connection.run("INSERT INTO item VALUES (3, 'big', zeroblob(1000000))")
            }
        }
        #expect(error?.isFull == true)
        #expect(try count(database) == 1)
        try insert(4, "after")
    }

    @Test func threadsTakeTurns() async throws {
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<4 {
                group.addTask {
                    for number in 0..<50 {
                        let id = Int64(task * 50 + number)
                        #expect(throws: Never.self) { try insert(id, "\(id)") }
                        #expect(throws: Never.self) { try database.makeDurable() }
                    }
                }
            }
        }
        #expect(try count(database) == 200)
    }

    @Test func theLogStaysBounded() throws {
        for round in 0..<300 {
            try database.transaction { connection throws(DatabaseError) in
                try connection.run("REPLACE INTO item VALUES (?, NULL, zeroblob(100000))", [.int(Int64(round % 3))])
            }
        }
        #expect(directory.size("db-wal") < 8 << 20)
    }
}
