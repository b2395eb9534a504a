import LocalDatabase
import Primitives

extension Tree {
    /// Whether something below a directory's key has to leave it: objects that are to be deleted or to move, and writes whose
    /// outcome is not known.
    public func isBeingEmptied(_ directory: ByteString) throws(TreeError) -> Bool {
        try look { connection throws(DatabaseError) in try connection.isBeingEmptied(directory) }
    }

    /// The key of the directory that `key` lies in, if its object is to be deleted and nothing else has to leave it first.
    public func emptied(above key: ByteString) throws(TreeError) -> ByteString? {
        guard let slash = key.dropLast(1).bytes.lastIndex(of: UInt8(ascii: "/")) else { return nil }
        let directory = ByteString(bytes: key.bytes[...slash])
        return try look { connection throws(DatabaseError) in
            guard let held = try connection.held(at: directory), held.owner == nil else { return nil }
            return try connection.isBeingEmptied(directory) ? nil : directory
        }
    }

    /// Whether the bucket has an object of ours that keeps `key` from being a path: a file where one of its directories
    /// has to be, or something below where its file has to be.
    public func isObstructed(_ key: ByteString) throws(TreeError) -> Bool {
        try look { connection throws(DatabaseError) in
            let parts = key.split(separator: UInt8(ascii: "/"))
            var above = parts[0]
            for part in parts.dropFirst() {
                if try connection.held(at: above) != nil { return true }
                above = above + "/" + part
            }
            if key.hasSuffix("/") { return false }
            let below = key + "/"
            return try connection.first(
                "SELECT 1 FROM objects WHERE key >= ? AND key < ? LIMIT 1",
                [.blob(below.bytes), .blob(below.afterAll.bytes)]
            ) { _ in true } ?? false
        }
    }
}

extension Connection {
    fileprivate func isBeingEmptied(_ directory: ByteString) throws(DatabaseError) -> Bool {
        let bounds: [SQLValue] = [.blob(directory.bytes), .blob(directory.afterAll.bytes)]
        let leaving = try first(
            """
            SELECT 1 FROM objects LEFT JOIN names ON names.id = owner
            WHERE key > ? AND key < ? AND (owner IS NULL OR work = 1) LIMIT 1
            """, bounds
        ) { _ in true }
        if leaving != nil { return true }
        return try first("SELECT 1 FROM attempts WHERE key > ? AND key < ? LIMIT 1", bounds) { _ in true } != nil
    }
}
