import CSQLite

/// The SQLite connection of a `Database`, to be used only inside the closure of `transaction` or `read` that got it.
///
/// Statements are prepared once and kept, one for each literal in the program that names one.
public final class Connection {
    let handle: OpaquePointer
    /// Done once, before the first connection. Where it fails, SQLite is slower and right all the same.
    private static let configured = pail_stop_counting_memory()

    private var statements: [UnsafePointer<UInt8>: OpaquePointer] = [:]
    /// Who is told of changed rows.
    public internal(set) var observer: (any RowObserver)?
    /// The changes of the present transaction.
    var recorder = StatementRecorder()
    /// The present transaction has run a script, which isn't recorded.
    var hasUnrecorded = false

    /// Opens or creates the file; every later access is under its exclusive lock, so there is no shared-memory file.
    init(path: String) throws(DatabaseError) {
        _ = Self.configured
        var opened: OpaquePointer?
        // The Lock of `Database` guards it, so no mutex of its own.
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        let code = sqlite3_open_v2(path, &opened, flags, nil)
        guard let opened else { throw DatabaseError(code: code, message: "out of memory") }
        handle = opened
        if code != SQLITE_OK { throw error(code) }
    }

    deinit {
        for statement in statements.values { sqlite3_finalize(statement) }
        sqlite3_close_v2(handle)
    }

    /// The rows the last INSERT, UPDATE or DELETE touched.
    public var changes: Int { Int(sqlite3_changes64(handle)) }
    public var lastInsertedRowID: Int64 { sqlite3_last_insert_rowid(handle) }
    var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    /// Runs a statement to its end; rows are dropped.
    public func run(_ sql: StaticString, _ bindings: [SQLValue] = []) throws(DatabaseError) {
        try query(sql, bindings) { _ in }
    }

    /// Calls `body` with each row.
    public func query(
        _ sql: StaticString, _ bindings: [SQLValue] = [], _ body: (Row) throws(DatabaseError) -> Void
    ) throws(DatabaseError) {
        let statement = try take(sql)
        defer { giveBack(statement, sql) }
        try bind(bindings, to: statement)
        while try step(statement) { try body(Row(statement: statement)) }
        if sqlite3_stmt_readonly(statement) == 0 { recorder.record(sql, bindings) }
    }

    /// Runs a statement that was recorded.
    func rerun(_ sql: String, _ bindings: [SQLValue]) throws(DatabaseError) {
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v2(handle, sql, -1, &statement, nil)
        guard let statement else { throw error(code) }
        defer { sqlite3_finalize(statement) }
        try bind(bindings, to: statement)
        while try step(statement) {}
    }

    /// What `body` makes of the first row, or nil where there is none. Only for statements that read.
    public func first<Value>(
        _ sql: StaticString, _ bindings: [SQLValue] = [], _ body: (Row) throws(DatabaseError) -> Value
    ) throws(DatabaseError) -> Value? {
        let statement = try take(sql)
        defer { giveBack(statement, sql) }
        precondition(!isInTransaction || sqlite3_stmt_readonly(statement) != 0, "changes are made by run")
        try bind(bindings, to: statement)
        return try step(statement) ? try body(Row(statement: statement)) : nil
    }

    /// Runs statements separated by semicolons, unprepared: for schemas and pragmas.
    public func execute(_ script: String) throws(DatabaseError) {
        hasUnrecorded = true
        let code = sqlite3_exec(handle, script, nil, nil, nil)
        if code != SQLITE_OK { throw error(code) }
    }

    /// A number the owner of the schema keeps in the file; 0 in a new one.
    public func userVersion() throws(DatabaseError) -> Int {
        try first("PRAGMA user_version") { row in Int(row.int(0)) } ?? 0
    }

    public func setUserVersion(_ version: Int32) throws(DatabaseError) {
        try execute("PRAGMA user_version = \(version)")
    }

    /// A statement that nobody else is using: a row's closure may run the same SQL again.
    private func take(_ sql: StaticString) throws(DatabaseError) -> OpaquePointer {
        if let statement = statements.removeValue(forKey: sql.utf8Start) { return statement }
        var statement: OpaquePointer?
        let text = UnsafeRawPointer(sql.utf8Start).assumingMemoryBound(to: CChar.self)
        let code = sqlite3_prepare_v3(
            handle, text, Int32(sql.utf8CodeUnitCount), UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard let statement else { throw error(code) }
        return statement
    }

    private func giveBack(_ statement: OpaquePointer, _ sql: StaticString) {
        sqlite3_reset(statement)
        sqlite3_clear_bindings(statement)
        if let other = statements.updateValue(statement, forKey: sql.utf8Start) { sqlite3_finalize(other) }
    }

    private func bind(_ values: [SQLValue], to statement: OpaquePointer) throws(DatabaseError) {
        precondition(values.count == Int(sqlite3_bind_parameter_count(statement)), "one value for each parameter")
        for (offset, value) in values.enumerated() {
            let index = Int32(offset + 1)
            let code =
                switch value {
                case .null: sqlite3_bind_null(statement, index)
                case .int(let number): sqlite3_bind_int64(statement, index, number)
                // A NULL pointer, which an empty array may have, would bind NULL.
                case .blob(let bytes) where bytes.isEmpty: sqlite3_bind_zeroblob(statement, index, 0)
                case .blob(let bytes): pail_bind_blob(statement, index, bytes, UInt64(bytes.count))
                case .text(let text): pail_bind_text(statement, index, text, UInt64(text.utf8.count))
                }
            if code != SQLITE_OK { throw error(code) }
        }
    }

    /// False after the last row.
    private func step(_ statement: OpaquePointer) throws(DatabaseError) -> Bool {
        let code = sqlite3_step(statement)
        if code == SQLITE_ROW { return true }
        if code == SQLITE_DONE { return false }
        throw error(code)
    }

    private func error(_ code: Int32) -> DatabaseError {
        DatabaseError(code: code, message: String(cString: sqlite3_errmsg(handle)))
    }
}
