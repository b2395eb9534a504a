import CSQLite
import Glibc
import Primitives

/// What SQLite reported. https://www.sqlite.org/rescode.html
public struct DatabaseError: Error, Equatable, CustomStringConvertible {
    /// An extended result code.
    public let code: Int32
    public let message: String

    public init(code: Int32, message: String) {
        self.code = code
        self.message = message
    }

    /// The file at `path` can't be used.
    static func file(_ path: String, _ error: Errno) -> DatabaseError {
        DatabaseError(code: error.code == ENOSPC ? SQLITE_FULL : SQLITE_CANTOPEN, message: "\(path): \(error)")
    }

    static func corrupt(_ message: String) -> DatabaseError { DatabaseError(code: SQLITE_CORRUPT, message: message) }

    private var primary: Int32 { code & 0xFF }

    /// The file is damaged or no database.
    public var isCorrupt: Bool { primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB }
    /// A statement doesn't fit the file: its schema isn't what it should be.
    public var isSchemaMismatch: Bool {
        primary == SQLITE_ERROR || primary == SQLITE_MISMATCH || primary == SQLITE_FORMAT
    }
    /// No space left on the device; the transaction has been rolled back.
    public var isFull: Bool { primary == SQLITE_FULL }
    /// Another process or `Database` has the file open.
    public var isBusy: Bool { primary == SQLITE_BUSY }
    /// A unique, foreign key, check or not-null constraint forbids it.
    public var isConstraint: Bool { primary == SQLITE_CONSTRAINT }

    public var description: String { "database: \(message) (SQLite \(code))" }
}
