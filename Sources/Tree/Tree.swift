import Glibc
import LocalDatabase
import Primitives
import Telemetry

/// Something that the reconciler has to look at.
public enum Work: Hashable, Sendable {
    /// A name whose object may differ from what the tree wants.
    case name(NameID)
    /// A key that holds what nobody wants any more.
    case leftover(ByteString)
}

/// The mount's local truth: nodes, names, and what the bucket holds for each.
///
/// Every method is one transaction, safe from any thread, and returns after the change is committed: it then survives
/// the death of the process; `makeDurable` makes it survive power loss.
public final class Tree: Sendable {
    /// What objects without attributes of their own look like.
    public struct Defaults: Sendable, Equatable {
        public var user: UInt32
        public var group: UInt32
        /// Permission bits of files.
        public var fileMode: UInt32
        /// Permission bits of directories.
        public var directoryMode: UInt32

        public init(user: UInt32, group: UInt32, fileMode: UInt32 = 0o644, directoryMode: UInt32 = 0o755) {
            self.user = user
            self.group = group
            self.fileMode = fileMode
            self.directoryMode = directoryMode
        }
    }

    public let defaults: Defaults
    /// Unique to this cache: begins the tag of each object that it wrote.
    public let cacheID: String
    /// How often the tree was opened, this time included.
    public let starts: UInt64
    let database: Database
    private let observer = Lock<Hook<[Work], Void>?>(nil)
    private let nameObserver = Lock<Hook<Set<NodeID>, Void>?>(nil)
    private let nextTag = Lock(Int64(0))
    private let releases = Lock(Releases())

    /// Opens the tree at `path`, or makes an empty one whose root stands for the whole bucket.
    /// - Parameters:
    ///   - newCacheID: the identity of a tree that is made now.
    ///   - redoBytes: see `Database`.
    public init(
        path: String, defaults: Defaults, newCacheID: String, now: Timestamp, redoBytes: Int = Database.redoBytes
    ) throws(TreeError) {
        self.defaults = defaults
        do throws(DatabaseError) {
            database = try Database(path: path, redoBytes: redoBytes, observer: RowCache())
            let format = try database.read { connection throws(DatabaseError) in try connection.userVersion() }
            if format == 0 { try Tree.create(in: database, defaults, newCacheID, now) }
            if format != 0, format != Int(Schema.format) {
                throw DatabaseError(
                    code: 0, message: "the cache has format \(format), this version reads \(Schema.format)")
            }
        } catch let error { throw .database(error) }
        cacheID = try Tree.fact("cacheID", in: database) ?? newCacheID
        let started = Int64(try Tree.fact("starts", in: database) ?? "0") ?? 0
        starts = UInt64(max(0, started)) + 1
        nextTag.withLock { $0 = (started &+ 1) << 32 }
        try change { change in
            try change.connection.execute(Tree.requestTable)
            try change.run(
                "INSERT OR REPLACE INTO facts(name, value) VALUES('starts', ?)", [.text(String(started &+ 1))])
        }
    }

    private static func create(
        in database: Database, _ defaults: Defaults, _ cacheID: String, _ now: Timestamp
    ) throws(DatabaseError) {
        try database.transaction { connection throws(DatabaseError) in
            for statement in Schema.statements { try connection.execute(statement) }
            var root = Node(
                id: .root, mode: S_IFDIR | defaults.directoryMode, user: defaults.user, group: defaults.group,
                accessed: now, modified: now, changed: now)
            root.prefix = ByteString()
            try root.insert(into: connection, withID: true)
            try connection.run("INSERT INTO facts(name, value) VALUES('cacheID', ?)", [.text(cacheID)])
            try connection.run("INSERT INTO facts(name, value) VALUES('sequence', '0')", [])
            try connection.setUserVersion(Schema.format)
        }
    }

    private static func fact(_ name: String, in database: Database) throws(TreeError) -> String? {
        do {
            return try database.read { connection throws(DatabaseError) in
                try connection.first("SELECT value FROM facts WHERE name = ?", [.text(name)]) { $0.text(0) }
            }
        } catch let error { throw .database(error) }
    }

    /// Tells `hook` of work after each transaction that makes some. Called on the changing thread: be quick.
    public func observe(_ hook: Hook<[Work], Void>) { observer.withLock { $0 = hook } }

    /// Tells `hook` in which directories names came, went, or lead to other nodes, after each transaction. Called on the
    /// changing thread: be quick.
    public func observeNames(_ hook: Hook<Set<NodeID>, Void>) { nameObserver.withLock { $0 = hook } }

    /// A tag for a write's metadata: never used before, recognisable as this cache's by `isOwn`.
    public func newTag() -> String {
        let number = nextTag.withLock { next in
            next += 1
            return next
        }
        return "\(cacheID)-\(number)"
    }

    public func isOwn(tag: String) -> Bool { tag.hasPrefix("\(cacheID)-") }

    /// Puts what changed into the database, from where it can be read also when it is damaged.
    public func commit() throws(TreeError) {
        do { try database.commit() } catch let error { throw .database(error) }
    }

    /// Makes all that was changed survive power loss. Blocks for the disk.
    public func makeDurable() throws(TreeError) {
        do { try database.makeDurable() } catch let error { throw .database(error) }
    }

    /// Remembers that the object at `key` went away, as of this sequence number.
    func noteRelease(_ key: ByteString, _ sequence: Int64) { releases.withLock { $0.note(key, sequence) } }

    /// What went away after `sequence`.
    func released(since sequence: Int64) -> Releases { releases.withLock { $0.since(sequence) } }

    /// One transaction that changes the tree.
    func change<Result>(_ body: (Change) throws -> Result) throws(TreeError) -> Result {
        var work: [Work] = []
        var directories: Set<NodeID> = []
        var refusal: TreeError?
        let result: Result
        let request = CurrentRequest.number
        do {
            result = try database.transaction { connection throws(DatabaseError) in
                let change = Change(connection)
                do {
                    let result = try body(change)
                    try change.record(request: request)
                    work = change.work
                    directories = change.directories
                    return result
                } catch let error as DatabaseError {
                    throw error
                } catch {
                    refusal = error as? TreeError
                    throw DatabaseError(code: 0, message: "rolled back")
                }
            }
        } catch let error {
            if let refusal { throw refusal }
            throw .database(error)
        }
        if request != 0 { CurrentRequest.number = 0 }
        if !directories.isEmpty, let observer = nameObserver.withLock({ $0 }) { observer.call(directories) }
        if !work.isEmpty, let observer = observer.withLock({ $0 }) { observer.call(work) }
        return result
    }

    /// One consistent look at the tree.
    func look<Result>(_ body: (Connection) throws(DatabaseError) -> Result) throws(TreeError) -> Result {
        do { return try database.read(body) } catch let error { throw .database(error) }
    }
}

/// A transaction under way, and the work that it makes.
final class Change {
    let connection: Connection
    private(set) var work: [Work] = []
    /// Those with other names than before.
    private(set) var directories: Set<NodeID> = []

    init(_ connection: Connection) { self.connection = connection }

    func run(_ sql: StaticString, _ values: [SQLValue]) throws(DatabaseError) { try connection.run(sql, values) }

    /// Marks the name for the reconciler.
    func needsWork(_ name: NameID) throws(DatabaseError) {
        try run("UPDATE names SET work = 1 WHERE id = ? AND work = 0", [.int(name.raw)])
        work.append(.name(name))
    }

    /// Marks all names of the node for the reconciler.
    func needsWork(node: NodeID) throws(DatabaseError) {
        for name in try connection.names(of: node) { try needsWork(name.id) }
    }

    /// The name was marked when it was made.
    func note(_ name: NameID) { work.append(.name(name)) }

    func changesNames(in directory: NodeID) { directories.insert(directory) }

    func isLeftOver(_ key: ByteString) { work.append(.leftover(key)) }

    /// The ledger's next sequence number.
    func nextSequence() throws(DatabaseError) -> Int64 {
        try run("UPDATE facts SET value = CAST(value AS INTEGER) + 1 WHERE name = 'sequence'", [])
        return try connection.sequence()
    }
}
