import Glibc
import LocalDatabase
import Primitives

/// Which of the kernel's requests have been carried out.
///
/// When the daemon dies, the kernel sends what was not answered to the next one. A name that was made before the death
/// would then be refused as being there already. So the change and the number of its request are one transaction.
public enum CurrentRequest {
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        pthread_key_create(&key, nil)
        return key
    }()

    /// The request whose change the calling thread is about to make; 0 for none. Numbers are never 0.
    public static var number: UInt64 {
        get { UInt64(UInt(bitPattern: pthread_getspecific(key))) }
        set { pthread_setspecific(key, UnsafeMutableRawPointer(bitPattern: UInt(newValue))) }
    }

    /// Runs `body` as a part of a request.
    public static func with<Result, Failure: Error>(
        _ number: UInt64, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        self.number = number
        defer { self.number = 0 }
        return try body()
    }
}

extension Tree {
    /// So many of the latest are known. One that is not answered yet is always among them: a thread would have to be
    /// held up for as long as others take for all of these between its change and its answer.
    static let requestSlots: UInt64 = 1 << 15

    static let requestTable = "CREATE TABLE IF NOT EXISTS requests(slot INTEGER PRIMARY KEY, number INTEGER NOT NULL)"

    /// Whether a change was made for the request, by this or the former daemon.
    public func isDone(request number: UInt64) throws(TreeError) -> Bool {
        try look { connection throws(DatabaseError) in
            try connection.first(
                "SELECT 1 FROM requests WHERE slot = ? AND number = ?",
                [.int(Int64(number % Tree.requestSlots)), .int(Int64(bitPattern: number))]
            ) { _ in true } ?? false
        }
    }

    /// Forgets all requests: with a new mount their numbers begin anew.
    public func forgetRequests() throws(TreeError) { try change { try $0.run("DELETE FROM requests", []) } }
}

extension Change {
    /// Makes this transaction that of the calling thread's request. Its later ones are consequences.
    func record(request number: UInt64) throws(DatabaseError) {
        guard number != 0 else { return }
        try run(
            "INSERT OR REPLACE INTO requests(slot, number) VALUES(?, ?)",
            [.int(Int64(number % Tree.requestSlots)), .int(Int64(bitPattern: number))])
    }
}
