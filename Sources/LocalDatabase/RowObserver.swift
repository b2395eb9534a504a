import CSQLite

/// Is told of each row that statements insert, change or delete in tables with row ids, so that it can keep what it made of
/// them. Called with the database locked, while the statement runs; it must not use the connection.
public protocol RowObserver: AnyObject, Sendable {
    /// - Parameter table: its name, C string.
    func changed(table: UnsafePointer<CChar>, row: Int64)
    /// Rows went back to what they were before: nothing that was kept is certain any more.
    func undone()
}

extension Connection {
    /// https://www.sqlite.org/c3ref/update_hook.html. The connection keeps the observer.
    func observe(_ observer: any RowObserver) {
        self.observer = observer
        let context = Unmanaged.passUnretained(self).toOpaque()
        sqlite3_update_hook(
            handle,
            { context, _, _, table, row in
                guard let context, let table else { return }
                Unmanaged<Connection>.fromOpaque(context).takeUnretainedValue().observer?.changed(
                    table: table, row: row)
            }, context)
    }
}
