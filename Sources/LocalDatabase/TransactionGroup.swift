import CSQLite

/// Transactions that SQLite commits together: between commits they are in the redo log, where storing one is a copy of
/// some hundred bytes, while a commit of its own would write each page that it touches.
///
/// SQLite's transaction stays open meanwhile; who reads sees what was changed. The database says which group it holds last,
/// so a restart knows whether the log's has come to it or has to be run again. Not thread-safe: under the database's lock.
final class TransactionGroup {
    let connection: Connection
    private let log: RedoLog
    /// The number of the group that is open.
    private var number: UInt32
    /// What is in SQLite's transaction isn't what is in the log: some of it was undone.
    private var isBehind = false

    /// - Parameter isNew: the database was made now, and a log that lies there belongs to another.
    init(_ connection: Connection, path: String, isNew: Bool, logBytes: Int) throws(DatabaseError) {
        self.connection = connection
        log = try RedoLog(database: path, lengthBytes: logBytes)
        let held = try connection.first("PRAGMA application_id") { row in row.int(0) } ?? 0
        number = UInt32(truncatingIfNeeded: held) &+ 1
        if !isNew {
            if try rerun() > 0 { try commitOpen() }
        }
        log.begin(group: number)
        connection.hasUnrecorded = false
    }

    /// What is not committed is in the log, and the next start runs it again.
    deinit { try? commit() }

    /// Runs `body`: all of what it changes, or, when it throws, nothing.
    func transaction<Result>(
        _ body: (Connection) throws(DatabaseError) -> Result
    ) throws(DatabaseError) -> Result {
        try catchUp()
        if !connection.isInTransaction { try connection.run("BEGIN") }
        do throws(DatabaseError) {
            let result = try body(connection)
            try keep()
            return result
        } catch {
            undo()
            throw error
        }
    }

    func read<Result>(_ body: (Connection) throws(DatabaseError) -> Result) throws(DatabaseError) -> Result {
        try catchUp()
        return try body(connection)
    }

    /// Puts what the log has into the database's own log.
    func commit() throws(DatabaseError) {
        try catchUp()
        guard !log.isEmpty else { return }
        do throws(DatabaseError) {
            try commitOpen()
        } catch {
            undo()
            throw error
        }
    }

    /// Makes the transaction that has just run outlive the process.
    private func keep() throws(DatabaseError) {
        if connection.hasUnrecorded {
            try commitOpen()
        } else if connection.recorder.bytes.isEmpty || log.append(connection.recorder.bytes) {
            connection.recorder.keep()
        } else {
            try commitOpen()
        }
    }

    private func commitOpen() throws(DatabaseError) {
        try connection.execute("PRAGMA application_id = \(Int32(bitPattern: number))")
        try connection.run("COMMIT")
        connection.hasUnrecorded = false
        connection.recorder.beginGroup()
        number &+= 1
        log.begin(group: number)
    }

    /// Takes back what the transaction that failed has changed. Where it changed nothing there is nothing to do.
    private func undo() {
        if connection.isInTransaction, connection.recorder.bytes.isEmpty, !connection.hasUnrecorded { return }
        connection.recorder.discard()
        isBehind = true
        // What fails now, as on a full disk, is tried again before the next use.
        try? catchUp()
    }

    /// Goes back to the last commit and runs the log's transactions again.
    private func catchUp() throws(DatabaseError) {
        guard isBehind else { return }
        if connection.isInTransaction { try connection.run("ROLLBACK") }
        connection.observer?.undone()
        connection.hasUnrecorded = false
        try rerun()
        isBehind = false
    }

    /// How many transactions of the open group the log had.
    @discardableResult
    private func rerun() throws(DatabaseError) -> Int {
        var reader = StatementReader()
        var count = 0
        try log.replay(group: number) { (transaction) throws(DatabaseError) in
            if !connection.isInTransaction { try connection.run("BEGIN") }
            try reader.read(transaction) { (sql, values) throws(DatabaseError) in try connection.rerun(sql, values) }
            count += 1
        }
        return count
    }
}
