import CSQLite

/// A value for a `?` of a statement.
public enum SQLValue: Equatable, Sendable {
    case int(Int64)
    case blob([UInt8])
    case text(String)
    case null
}

/// The present row of a query. Only good inside the closure that got it. Columns count from 0.
public struct Row {
    let statement: OpaquePointer

    /// 0 for NULL.
    public func int(_ column: Int) -> Int64 { sqlite3_column_int64(statement, Int32(column)) }

    public func isNull(_ column: Int) -> Bool { sqlite3_column_type(statement, Int32(column)) == SQLITE_NULL }

    /// Empty for NULL.
    public func blob(_ column: Int) -> [UInt8] {
        guard let bytes = sqlite3_column_blob(statement, Int32(column)) else { return [] }
        let count = Int(sqlite3_column_bytes(statement, Int32(column)))
        return [UInt8](UnsafeRawBufferPointer(start: bytes, count: count))
    }

    /// Empty for NULL.
    public func text(_ column: Int) -> String {
        guard let bytes = sqlite3_column_text(statement, Int32(column)) else { return "" }
        let count = Int(sqlite3_column_bytes(statement, Int32(column)))
        return String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }
}
