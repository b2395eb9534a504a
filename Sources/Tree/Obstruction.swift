import LocalDatabase
import Primitives

extension Tree {
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
