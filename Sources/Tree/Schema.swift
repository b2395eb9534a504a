import Primitives

/// The tree's tables. Times are nanoseconds since 1970, keys and names are bytes.
enum Schema {
    /// Stored as SQLite's user_version; a tree of another format is not opened.
    static let format = Int32(CacheFormat.current)

    static let statements = tables + countingOfSubdirectories

    private static let tables: [String] = [
        """
        CREATE TABLE nodes(
            id INTEGER PRIMARY KEY AUTOINCREMENT, mode INTEGER NOT NULL, user INTEGER NOT NULL,
            grp INTEGER NOT NULL, device INTEGER NOT NULL, size INTEGER NOT NULL, accessed INTEGER NOT NULL,
            modified INTEGER NOT NULL, changed INTEGER NOT NULL, target BLOB, xattrs BLOB, links INTEGER NOT NULL,
            content INTEGER NOT NULL, attributes INTEGER NOT NULL, known INTEGER NOT NULL, live INTEGER NOT NULL,
            originKey BLOB, originTag TEXT, originSize INTEGER, prefix BLOB, listed INTEGER,
            subdirectories INTEGER NOT NULL DEFAULT 0, identity TEXT, elsewhere INTEGER NOT NULL DEFAULT 0)
        """,
        "CREATE INDEX nodesByIdentity ON nodes(identity) WHERE identity IS NOT NULL",
        "CREATE INDEX nodesByPrefix ON nodes(prefix) WHERE prefix IS NOT NULL",
        "CREATE INDEX orphans ON nodes(id) WHERE links = 0",
        "CREATE INDEX liveNodes ON nodes(id) WHERE live = 1",
        """
        CREATE TABLE names(
            id INTEGER PRIMARY KEY AUTOINCREMENT, parent INTEGER NOT NULL, name BLOB NOT NULL,
            node INTEGER NOT NULL, component BLOB, work INTEGER NOT NULL DEFAULT 0)
        """,
        "CREATE UNIQUE INDEX namesByParent ON names(parent, name)",
        "CREATE INDEX namesInOrder ON names(parent, id)",
        "CREATE INDEX namesByNode ON names(node)",
        "CREATE INDEX namesWithWork ON names(id) WHERE work = 1",
        """
        CREATE TABLE objects(
            key BLOB PRIMARY KEY, tag TEXT NOT NULL, size INTEGER NOT NULL, modified INTEGER, owner INTEGER,
            node INTEGER NOT NULL, content INTEGER NOT NULL, attributes INTEGER NOT NULL, sequence INTEGER NOT NULL,
            revision TEXT) WITHOUT ROWID
        """,
        "CREATE INDEX objectsByOwner ON objects(owner) WHERE owner IS NOT NULL",
        "CREATE INDEX objectsByNode ON objects(node)",
        "CREATE INDEX leftovers ON objects(key) WHERE owner IS NULL",
        """
        CREATE TABLE attempts(
            key BLOB PRIMARY KEY, tag TEXT NOT NULL, name INTEGER NOT NULL, node INTEGER NOT NULL,
            content INTEGER NOT NULL, attributes INTEGER NOT NULL, revision TEXT) WITHOUT ROWID
        """,
        "CREATE INDEX attemptsByName ON attempts(name)",
        "CREATE TABLE superseded(node INTEGER PRIMARY KEY, parent INTEGER NOT NULL, name BLOB NOT NULL, component BLOB)",
        "CREATE TABLE facts(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    ]

    /// `subdirectories` follows the names by itself, whoever changes them. A name that changes its node never changes
    /// between a directory and another kind of file.
    private static let countingOfSubdirectories: [String] = [
        """
        CREATE TRIGGER countNew AFTER INSERT ON names
        WHEN (SELECT mode & 61440 FROM nodes WHERE id = NEW.node) = 16384
        BEGIN UPDATE nodes SET subdirectories = subdirectories + 1 WHERE id = NEW.parent; END
        """,
        """
        CREATE TRIGGER countGone AFTER DELETE ON names
        WHEN (SELECT mode & 61440 FROM nodes WHERE id = OLD.node) = 16384
        BEGIN UPDATE nodes SET subdirectories = subdirectories - 1 WHERE id = OLD.parent; END
        """,
        """
        CREATE TRIGGER countMoved AFTER UPDATE OF parent ON names
        WHEN OLD.parent <> NEW.parent AND (SELECT mode & 61440 FROM nodes WHERE id = NEW.node) = 16384
        BEGIN
            UPDATE nodes SET subdirectories = subdirectories - 1 WHERE id = OLD.parent;
            UPDATE nodes SET subdirectories = subdirectories + 1 WHERE id = NEW.parent;
        END
        """,
    ]
}
