import LocalDatabase
import Primitives

/// A look at a tree's file before it is used: whether its bytes are a tree that makes sense.
public struct TreeCheck: Sendable {
    /// What is wrong, for people; empty if nothing was found.
    public private(set) var faults: [String] = []
    /// The cache format that the file states; 0 for an empty one, nil if it can't be read.
    public private(set) var format: Int?
    /// The cache that the tree says it belongs to.
    public private(set) var cacheID: String?

    /// Opens the file as `Tree` does, so that SQLite recovers what a killed process left.
    /// Throws what is no damage: a file that is in use, a disk that fails.
    /// - Parameters:
    ///   - thorough: reads all of it: each page, index and name.
    ///   - afterPowerLoss: the end of its log may be missing or wrong.
    public init(path: String, thorough: Bool, afterPowerLoss: Bool) throws(TreeError) {
        if !afterPowerLoss, LogCheck.isDamaged(databasePath: path) {
            faults = ["its write-ahead log has a damaged part"]
            return
        }
        do throws(DatabaseError) {
            let database = try Database(path: path)
            let found = try database.read { connection throws(DatabaseError) in try connection.userVersion() }
            format = found
            guard found == CacheFormat.current else { return }
            if thorough { faults = try database.integrityCheck() }
            guard faults.isEmpty else { return }
            let (cacheID, faults) = try database.read { connection throws(DatabaseError) in
                let sql: StaticString = "SELECT value FROM facts WHERE name = 'cacheID'"
                return (try connection.first(sql) { $0.text(0) }, try connection.faults(thorough: thorough))
            }
            self.cacheID = cacheID
            self.faults = faults
        } catch let error {
            guard error.isCorrupt || error.isSchemaMismatch else { throw .database(error) }
            faults = [error.message]
        }
    }
}

extension Connection {
    /// Rows that can't be, and that nothing but damage makes. Without `thorough`, those only that an index shows.
    fileprivate func faults(thorough: Bool) throws(DatabaseError) -> [String] {
        var faults: [String] = []
        for (sql, what) in Self.quickQuestions + (thorough ? Self.thoroughQuestions : []) {
            let count = try first(sql) { $0.int(0) } ?? 0
            if count > 0 { faults.append(what) }
        }
        return faults
    }

    private static let quickQuestions: [(StaticString, String)] = [
        ("SELECT NOT EXISTS(SELECT 1 FROM nodes WHERE id = 1 AND mode & 61440 = 16384)", "there is no top directory"),
        (
            """
            SELECT EXISTS(SELECT 1 FROM nodes WHERE id < 1) OR EXISTS(SELECT 1 FROM names WHERE id < 1)
                OR EXISTS(SELECT 1 FROM names WHERE parent < 1) OR EXISTS(SELECT 1 FROM names WHERE node < 1)
                OR EXISTS(SELECT 1 FROM objects WHERE node < 1)
            """, "a number is negative"
        ),
    ]

    private static let thoroughQuestions: [(StaticString, String)] = [
        ("SELECT EXISTS(SELECT 1 FROM names WHERE node NOT IN (SELECT id FROM nodes))", "a name leads to nothing"),
        (
            "SELECT EXISTS(SELECT 1 FROM names JOIN nodes ON nodes.id = names.node WHERE links = 0)",
            "a name leads to something that was deleted"
        ),
        (
            """
            SELECT EXISTS(SELECT 1 FROM names LEFT JOIN nodes ON nodes.id = names.parent
                WHERE COALESCE(mode, 0) & 61440 <> 16384)
            """, "a name lies in no directory"
        ),
        (
            "SELECT EXISTS(SELECT 1 FROM names WHERE length(name) = 0 OR length(name) > 255 OR instr(name, x'2f') > 0)",
            "a name is none"
        ),
        (
            """
            SELECT EXISTS(SELECT 1 FROM nodes WHERE size < 0 OR content < 0 OR attributes < 0
                OR mode >> 12 NOT IN (1, 2, 4, 6, 8, 10, 12))
            """, "a node is none"
        ),
        (
            "SELECT EXISTS(SELECT 1 FROM nodes WHERE length(prefix) > 0 AND substr(prefix, -1) <> x'2f')",
            "a prefix is none"
        ),
        // Directories that lie in each other can't be reached from the top.
        (
            """
            WITH RECURSIVE inside(id) AS (SELECT 1 UNION SELECT nodes.id FROM inside
                JOIN names ON names.parent = inside.id JOIN nodes ON nodes.id = names.node WHERE mode & 61440 = 16384)
            SELECT (SELECT COUNT(*) FROM inside) <> 1 + (SELECT COUNT(DISTINCT node) FROM names
                JOIN nodes ON nodes.id = names.node WHERE mode & 61440 = 16384)
            """, "a directory lies in itself"
        ),
    ]
}
