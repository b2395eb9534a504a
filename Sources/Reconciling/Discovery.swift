import ObjectStore
import Primitives
import Telemetry
import Tree

/// Takes over into the tree what the bucket has: listings, single names, attributes. Safe from any thread; identical
/// questions at one time are asked once.
public final class Discovery: Sendable {
    public struct Settings: Sendable {
        /// How long what was learnt of a directory is believed.
        public var refreshMilliseconds: Int64 = 5_000
        /// What was just learnt is believed at least this long, so that an operation that asked gets to its end.
        static let leastMilliseconds: Int64 = 500
        var believedMilliseconds: Int64 { max(refreshMilliseconds, Settings.leastMilliseconds) }
        /// HEAD requests at one time for a directory's attributes.
        public var attributesAtOnce = 32
        /// Pages of one directory that are asked for at one time.
        public var listersAtOnce = 8
        /// Entries of a page (1...1000).
        public var pageEntries = 1_000
        public init() {}
    }

    /// Directories and single names whose time of asking is kept in memory; the map is emptied at this size.
    static let rememberedNames = 65_536

    struct Asked: Hashable {
        let parent: NodeID
        let name: ByteString
    }

    struct Memory {
        /// When single names were last asked for.
        var asked: [Asked: Timestamp] = [:]
        /// How long the last listing of a directory took, in milliseconds.
        var cost: [NodeID: Int64] = [:]
        /// Lookups in directories that were never listed.
        var lookups: [NodeID: Int] = [:]
        /// Until it turns out that listings can't begin anywhere, or don't go in the order of keys.
        var listsInOrder = true
    }

    let tree: Tree
    let objects: any ObjectStore
    let settings: Settings
    let time: any TimeSource
    let log: Log
    let memory = Lock(Memory())
    let attributeGate: Gate
    let walks: DirectoryWalks
    let attributeFlights = Flights<NodeID>()
    private let listFlights = Flights<NodeID>()
    private let lookupFlights = Flights<Asked>()
    private let listener = Lock<Hook<[TreeEvent], Void>?>(nil)

    public init(tree: Tree, store: any ObjectStore, settings: Settings, time: any TimeSource, log: Log) {
        self.tree = tree
        objects = store
        self.settings = settings
        self.time = time
        self.log = log
        attributeGate = Gate(limit: settings.attributesAtOnce)
        walks = DirectoryWalks(tree: tree, longest: Self.sweepLength)
    }

    /// Tells `hook` what changed in the tree because the bucket changed.
    public func listen(_ hook: Hook<[TreeEvent], Void>) { listener.withLock { $0 = hook } }

    func tell(_ events: [TreeEvent]) {
        guard !events.isEmpty, let listener = listener.withLock({ $0 }) else { return }
        listener.call(events)
    }

    /// Whether what the tree says of the name can be answered without asking the bucket.
    public func isFresh(_ directory: Node, _ name: ByteString) -> Bool {
        guard directory.prefix != nil else { return true }
        let now = time.now()
        if isListingFresh(directory, now) { return true }
        let asked = memory.withLock { $0.asked[Asked(parent: directory.id, name: name)] }
        return asked.map { now.milliseconds(since: $0) < settings.believedMilliseconds } ?? false
    }

    /// Whether the directory can be read without asking the bucket.
    public func isFresh(_ directory: Node) -> Bool {
        directory.prefix == nil || isListingFresh(directory, time.now())
    }

    private func isListingFresh(_ directory: Node, _ now: Timestamp) -> Bool {
        guard let listed = directory.listed else { return false }
        return now.milliseconds(since: listed) < settings.believedMilliseconds
    }

    /// Makes what the tree says of a name as new as the bucket: by its directory's listing where that is cheap or was
    /// asked for before, else by questions for that name alone.
    public func refresh(_ directory: NodeID, _ name: ByteString) async throws(BucketError) {
        guard let node = try inTree(tree.node(directory)) else { return }
        guard node.prefix != nil else { return }
        if KeyMapping.isEscaped(name) || prefersListing(node) { return try await list(directory) }
        try await lookupFlights.join(Asked(parent: directory, name: name)) {
            await catching { () async throws(BucketError) in try await self.lookUp(node, name) }
        }
    }

    /// Asks again for the names of a node whose version is gone from the bucket, however fresh they are: the next who
    /// opens them gets the present version.
    public func revisit(_ node: NodeID) async throws(BucketError) {
        for name in try inTree(tree.names(of: node)) { try await list(name.parent) }
    }

    private func prefersListing(_ directory: Node) -> Bool {
        let (cost, lookups) = memory.withLock { memory -> (Int64?, Int) in
            memory.lookups[directory.id, default: 0] += 1
            return (memory.cost[directory.id], memory.lookups[directory.id] ?? 0)
        }
        guard let listed = directory.listed else { return lookups > 4 }
        // A huge directory is not listed again for each name that somebody asks for.
        return time.now().milliseconds(since: listed) > 10 * (cost ?? 0)
    }

    /// Lists the directory's prefix from beginning to end.
    public func list(_ directory: NodeID) async throws(BucketError) {
        try await listFlights.join(directory) {
            await catching { () async throws(BucketError) in try await self.listAll(directory) }
        }
    }

    /// Asks for one name: its object, and whether anything lies below it.
    private func lookUp(_ directory: Node, _ name: ByteString) async throws(BucketError) {
        guard let prefix = directory.prefix else { return }
        let since = try inTree(tree.sequence())
        let asked = time.now()
        let key = prefix + name
        async let object = head(key)
        async let below = anything(below: key + "/")
        let info = try await object.get()
        let hasMore = try await below.get()
        guard !key.hasPrefix(ObjectName.own) else { return }
        let page = ListPage(objects: info.map { [$0] } ?? [], prefixes: hasMore ? [key + "/"] : [])
        var events = try inTree(tree.merge(page, into: directory.id, prefix: prefix, since: since, now: asked))
        if let found = try inTree(tree.find(directory.id, name)) {
            events += try await settle(found, key, info, since: since, now: asked)
        }
        tell(events)
        let answered = time.now()
        memory.withLock { memory in
            if memory.asked.count > Discovery.rememberedNames { memory.asked.removeAll() }
            memory.asked[Asked(parent: directory.id, name: name)] = answered
        }
    }

    /// What the HEAD of `key` says about the name the tree has, if its object is there.
    private func settle(
        _ found: Found, _ key: ByteString, _ info: ObjectInfo?, since: Int64, now: Timestamp
    ) async throws(BucketError) -> [TreeEvent] {
        guard !found.node.isDirectory else { return [] }
        if let info { return try await learn(found.name.id, ObjectAnswer(info), since: since, now: now) }
        // A name whose object is on its way may have it elsewhere than where was asked.
        guard let held = try inTree(tree.held(by: found.name.id)), held.key == key else { return [] }
        return try inTree(tree.vanished(found.name.id, etag: held.etag, since: since, now: now))
    }

    private func head(_ key: ByteString) async -> Result<ObjectInfo?, BucketError> {
        do throws(StoreError) {
            return .success(try await objects.head(key))
        } catch let error {
            return error.kind == .notFound ? .success(nil) : .failure(.store(error))
        }
    }

    private func anything(below prefix: ByteString) async -> Result<Bool, BucketError> {
        do throws(StoreError) {
            let page = try await objects.list(prefix: prefix, delimited: false, from: nil, limit: 1)
            return .success(!page.objects.isEmpty)
        } catch let error { return .failure(.store(error)) }
    }
}

/// Runs `body` and gives what came of it as a value.
func catching<Value>(_ body: () async throws(BucketError) -> Value) async -> Result<Value, BucketError> {
    do { return .success(try await body()) } catch let error { return .failure(error) }
}

/// Objects that are Pail's own business and never shown.
enum ObjectName {
    /// Probes and objects on their way from one key to another.
    static let own: ByteString = ".pail/"
}
