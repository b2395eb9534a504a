import CSQLite
import Glibc
import Primitives

/// An SQLite database in a file of its own, open in one process, used by one thread at a time.
///
/// A transaction that has returned survives the death of the process: it is in the redo log (`TransactionGroup`), in the
/// kernel's cache. It survives power loss after `makeDurable`: the group is committed and the write-ahead log synced.
/// `synchronous = NORMAL` syncs by itself at checkpoints only, the log before the pages are copied and the file before the
/// log is overwritten (https://www.sqlite.org/wal.html). The log is checkpointed when it passes 1000 pages, so it stays
/// within a few MiB and one group. After power loss the database is as it was after some transaction since `makeDurable`.
/// Thread-safe; a caller waits for the one before it.
public final class Database: Sendable {
    /// Room for some thousand transactions.
    public static let redoBytes = 1 << 20

    /// What follows the path in the names of its files.
    static let endings = ["", "-wal", "-redo"]

    private let group: Lock<TransactionGroup>
    private let log: Int32

    /// Opens or creates the database at `path`, beside which `path-wal` and `path-redo` belong to it.
    /// Throws `isBusy` when it is open elsewhere and `isCorrupt` when it is none.
    /// - Parameters:
    ///   - redoBytes: how much is kept in the redo log at the most.
    ///   - observer: is told of changed rows.
    public init(
        path: String, redoBytes: Int = Database.redoBytes, observer: (any RowObserver)? = nil
    ) throws(DatabaseError) {
        // Only the owner may read it. Never opened when it exists: closing any descriptor drops SQLite's locks.
        let created = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        if created >= 0 { close(created) }
        let connection = try Connection(path: path)
        if let observer { connection.observe(observer) }
        try connection.execute(
            """
            PRAGMA locking_mode = EXCLUSIVE;
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = NORMAL;
            PRAGMA cache_size = -8192;
            PRAGMA temp_store = MEMORY;
            PRAGMA trusted_schema = OFF;
            BEGIN IMMEDIATE;
            COMMIT;
            """)
        let mode = try connection.first("PRAGMA journal_mode") { row in row.text(0) }
        guard mode == "wal" else {
            throw DatabaseError(code: SQLITE_CANTOPEN, message: "\(path): no write-ahead log is possible here")
        }
        log = try Self.openLog(path)
        group = Lock(try TransactionGroup(connection, path: path, isNew: created >= 0, logBytes: redoBytes))
    }

    deinit { close(log) }

    /// Runs `body` in a transaction: all of what it changes, or, when it throws, nothing. Not reentrant.
    public func transaction<Result>(
        _ body: (Connection) throws(DatabaseError) -> Result
    ) throws(DatabaseError) -> Result {
        try group.withLock { group throws(DatabaseError) -> Result in try group.transaction(body) }
    }

    /// Runs `body`, which only reads: nobody else writes meanwhile. Not reentrant.
    public func read<Result>(_ body: (Connection) throws(DatabaseError) -> Result) throws(DatabaseError) -> Result {
        try group.withLock { group throws(DatabaseError) -> Result in try group.read(body) }
    }

    /// Puts what the redo log holds into the database's files.
    public func commit() throws(DatabaseError) {
        try group.withLock { group throws(DatabaseError) in try group.commit() }
    }

    /// Returns when every transaction that had returned before survives power loss. Others go on meanwhile.
    /// After an error nothing is known of what is on the disk: the kernel may have dropped the pages.
    public func makeDurable() throws(DatabaseError) {
        try commit()
        do throws(Errno) {
            try Errno.check { fdatasync(log) }
        } catch {
            throw DatabaseError(code: SQLITE_IOERR, message: "syncing the write-ahead log: \(error)")
        }
    }

    /// What is wrong with the file, at most 10 lines; empty when it is sound. Reads all of it.
    public func integrityCheck() throws(DatabaseError) -> [String] {
        try read { connection throws(DatabaseError) -> [String] in
            var lines: [String] = []
            try connection.query("PRAGMA integrity_check(10)") { row in lines.append(row.text(0)) }
            return lines == ["ok"] ? [] : lines
        }
    }

    /// The log, which lives as long as the connection, after the directory has been synced, so that both files are found
    /// again after power loss.
    private static func openLog(_ path: String) throws(DatabaseError) -> Int32 {
        let parent = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        do throws(Errno) {
            let directory = try Errno.check { open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
            defer { close(directory) }
            try Errno.check { fsync(directory) }
            return try Errno.check { open(path + "-wal", O_RDWR | O_CLOEXEC) }
        } catch {
            throw DatabaseError(code: SQLITE_CANTOPEN, message: "\(path)-wal: \(error)")
        }
    }
}
