import FileSystem
import Glibc
import ObjectStore
import Primitives
import Tree

/// What may be there after deaths that nobody has looked at yet.
struct Expectation {
    /// Power was lost since the last look: what was not synced may be in any state that it had since.
    private(set) var isLoose = false
    /// What there would be if the operation that was under way happened, and the file whose content it changed.
    private(set) var inFlight: (after: Reference, file: Int?)?

    mutating func note(_ crash: Crash, _ operation: Operation?, _ reference: Reference) {
        if crash == .powerLoss { isLoose = true }
        guard let operation, reference.verdict(operation) == .succeeds else { return }
        var after = reference
        let file = after.apply(operation)
        after.closeAll()
        inFlight = (after: after, file: file)
    }

    mutating func clear() { self = Expectation() }

    /// What each file may hold, as a mixture, that had these versions since its last sync.
    func possible(of versions: [Int: [[UInt8]]]) -> [[[UInt8]]] {
        versions.map { file, versions in
            let last = isLoose ? versions : Array(versions.suffix(1))
            guard let inFlight, inFlight.file == file, let next = inFlight.after.contents[file] else { return last }
            return last + [next]
        }.filter { $0.count > 1 }
    }
}

extension Run {
    /// Holds the mount against what must be there after a death, and takes over what was left to chance.
    func check() throws {
        let former = (reference, history, versions)
        do {
            let (seen, nodes) = try observe()
            if expectation.isLoose {
                try checkLoosely(seen, nodes)
            } else {
                try checkExactly(seen, nodes)
            }
            expectation.clear()
        } catch let error as Died {
            // Nothing of a look that was broken off counts.
            (reference, history, versions) = former
            throw error
        }
    }

    // MARK: after a kill

    private func checkExactly(_ seen: [String: Reference.Entry], _ nodes: [String: NodeID]) throws {
        var candidates = [reference]
        if let inFlight = expectation.inFlight { candidates.append(inFlight.after) }
        let matching = candidates.filter { Self.shape($0.entries) == Self.shape(seen) }
        guard !matching.isEmpty else {
            let wanted = candidates.map { Self.text($0.entries) }.joined(separator: " or ")
            throw Broken("after the kill the mount has \(Self.text(seen)), not \(wanted)")
        }
        let former = reference
        for (index, match) in matching.enumerated() {
            reference = match
            do {
                for path in match.files { try checkFile(path, nodes[path]!, before: former) }
                if match.entries != former.entries { history.append(match.entries) }
                return
            } catch let error as Broken where index < matching.count - 1 { _ = error }
        }
    }

    /// Holds a file against the reference, and against what it was before the operation that was under way.
    private func checkFile(_ path: String, _ node: NodeID, before former: Reference) throws {
        guard let file = reference.file(at: path), let content = reference.contents[file] else { return }
        let before = former.contents[file]
        if expectation.inFlight == nil, Bool.random(using: &world.scheduler.generator) { return }
        let possible = [content] + (before.map { [$0] } ?? [])
        let bytes = try readFile(path, node)
        let isTorn = before != content && Mixture.isPossible(bytes, of: possible)
        guard possible.contains(bytes) || isTorn else {
            throw Broken("\(path) has \(bytes.count) bytes that are none of \(possible.map(\.count)) after the death")
        }
        reference.contents[file] = bytes
        if versions[file]?.last != bytes { versions[file, default: []].append(bytes) }
        world.witness.approve(bytes)
        try checkMode(path, node, [reference.modes[file], former.modes[file]].compactMap { $0 })
    }

    private func checkMode(_ path: String, _ node: NodeID, _ possible: [UInt32]) throws {
        let mode = try ask("stat \(path)") { () throws(Failure) in try fs.attributes(node, handle: nil) }.mode & 0o7777
        guard possible.contains(mode) else {
            throw Broken("\(path) has mode \(String(mode, radix: 8)), not \(possible.map { String($0, radix: 8) })")
        }
        if let file = reference.file(at: path) { reference.modes[file] = mode }
    }

    // MARK: after power loss

    /// Each path may be what it was at any time since the names were last synced; each file may hold what it held
    /// since it was last synced. Then what is there is what there is.
    private func checkLoosely(_ seen: [String: Reference.Entry], _ nodes: [String: NodeID]) throws {
        var states = history
        var contents = versions
        if let (after, file) = expectation.inFlight {
            if let file, let bytes = after.contents[file] { contents[file, default: []].append(bytes) }
            states.append(after.entries)
        }
        for path in Set(seen.keys).union(states.flatMap(\.keys)).sorted() {
            let possible = states.map { $0[path] }
            guard possible.contains(where: { Self.kind($0) == Self.kind(seen[path]) }) else {
                throw Broken(
                    "after power loss \(path) is \(Self.kind(seen[path])), "
                        + "not one of \(Set(possible.map(Self.kind)).sorted())")
            }
            guard case .file? = seen[path] else { continue }
            let files = Set(
                possible.compactMap { entry -> Int? in
                    if case .file(let file)? = entry { return file }
                    return nil
                })
            let bytes = try readFile(path, nodes[path]!)
            let isRight = files.contains { Mixture.isPossible(bytes, of: contents[$0] ?? []) }
            guard isRight else {
                let counts = files.sorted().map { (contents[$0] ?? []).map(\.count) }
                throw Broken("after power loss \(path) has \(bytes.count) bytes that are none of \(counts)")
            }
        }
        try adopt(seen, nodes)
    }

    private func adopt(_ seen: [String: Reference.Entry], _ nodes: [String: NodeID]) throws {
        reference.removeAll()
        versions = [:]
        var files: [NodeID: String] = [:]
        for (path, entry) in seen.sorted(by: { $0.key < $1.key }) {
            guard case .file = entry, let node = nodes[path] else {
                reference.add(path, entry)
                continue
            }
            if let first = files[node], let entry = reference.entries[first] {
                reference.add(path, entry)
                continue
            }
            files[node] = path
            let bytes = try readFile(path, node)
            let mode = try ask("stat \(path)") { () throws(Failure) in try fs.attributes(node, handle: nil) }.mode
            let file = reference.add(path, bytes, mode: mode & 0o7777)
            versions[file] = [bytes]
            world.witness.approve(bytes)
        }
        history = [reference.entries]
    }

    // MARK: at the end

    /// The mount shows what the reference has.
    func compareMount(knowsLinks: Bool = true) throws {
        let (seen, nodes) = try observe()
        let isEqual =
            knowsLinks
            ? Self.shape(seen) == Self.shape(reference.entries)
            : seen.mapValues(Self.kind) == reference.entries.mapValues(Self.kind)
        guard isEqual else {
            throw Broken("the mount has \(Self.text(seen)), not \(Self.text(reference.entries))")
        }
        for path in reference.files {
            guard try readFile(path, nodes[path]!) == reference.content(at: path) else {
                throw Broken("\(path) on the mount is not what was written")
            }
            if let file = reference.file(at: path), let mode = reference.modes[file] {
                try checkMode(path, nodes[path]!, [mode])
            }
        }
    }

    /// The bucket has each file under its path, a marker for each directory, and nothing else.
    func compareBucket() throws {
        var objects: [String: [UInt8]] = [:]
        for object in world.bucket.snapshot() { objects[object.info.key.description] = object.bytes }
        for (key, bytes) in objects.sorted(by: { $0.key < $1.key }) where !SharedFiles.isShared(key) {
            let path = key.hasSuffix("/") ? String(key.dropLast()) : key
            switch reference.entries[path] {
            case .directory? where key.hasSuffix("/"): continue
            case .symlink(let target)? where bytes == Array(target.utf8): continue
            case .file? where bytes == reference.content(at: path): continue
            default: throw Broken("the bucket has \(bytes.count) bytes at \(key) that should not be there")
            }
        }
        for (path, entry) in reference.entries.sorted(by: { $0.key < $1.key }) {
            let key = entry == .directory ? path + "/" : path
            guard objects[key] != nil else { throw Broken("the bucket lacks \(key)") }
        }
    }

    // MARK: looking

    /// All names but those that others write too. Hard links have equal numbers.
    private func observe() throws -> ([String: Reference.Entry], [String: NodeID]) {
        var seen: [String: Reference.Entry] = [:]
        var nodes: [String: NodeID] = [:]
        try world.calm { try observe("", .root, &seen, &nodes) }
        return (seen, nodes)
    }

    private func observe(
        _ directory: String, _ node: NodeID, _ seen: inout [String: Reference.Entry],
        _ nodes: inout [String: NodeID]
    ) throws {
        for name in try names(directory, node) where !(directory.isEmpty && SharedFiles.isShared(name)) {
            let path = directory.isEmpty ? name : directory + "/" + name
            let entry = try ask("lookup \(path)") { () throws(Failure) in try fs.lookup(node, ByteString(name)) }
            forget(entry)
            let child = entry.attributes.node
            nodes[path] = child
            switch entry.attributes.mode & S_IFMT {
            case S_IFDIR:
                seen[path] = .directory
                try observe(path, child, &seen, &nodes)
            case S_IFLNK:
                let target = try ask("readlink \(path)") { () throws(Failure) in try fs.readLink(child) }
                seen[path] = .symlink(target.description)
            default: seen[path] = .file(Int(child.raw))
            }
        }
    }

    private func names(_ path: String, _ node: NodeID) throws -> [String] {
        let handle = try ask("opendir \(path)") { () throws(Failure) in try fs.openDirectory(node, caller).handle }
        let names = try ask("readdir \(path)") { () throws(Failure) in
            var names: [String] = []
            try fs.readDirectory(handle, offset: 0, plus: false) { entry in
                names.append(entry.name.description)
                return true
            }
            return names
        }
        try ask("closedir \(path)") { () throws(Failure) in try fs.releaseDirectory(handle) }
        return names.sorted()
    }

    private func readFile(_ path: String, _ node: NodeID) throws -> [UInt8] {
        try world.calm {
            let handle = try ask("open \(path)") { () throws(Failure) in
                try fs.open(node, flags: O_RDONLY, caller).handle
            }
            defer { try? fs.release(handle) }
            return try ask("read \(path)") { () throws(Failure) in
                let size = try fs.attributes(node, handle: nil).sizeBytes
                return try readAll(handle, bytes: Int(size) + 10)
            }
        }
    }

    func outcome<Answer>(_ call: () throws(Failure) -> Answer) -> Result<Answer, Failure> {
        do throws(Failure) { return .success(try call()) } catch { return .failure(error) }
    }

    /// Makes a call until it needs nothing any more.
    @discardableResult
    func ask<Answer>(_ what: String, _ call: () throws(Failure) -> Answer) throws -> Answer {
        let disk = world.disk
        for _ in 0..<Run.maximumRounds {
            let result = outcome(call)
            try look()
            switch result {
            case .success(let answer): return answer
            case .failure(.errno(let error)): throw Broken("\(what): \(error)")
            case .failure(.need(let need)):
                let procedure = Procedure([])
                procedure.begin(need, life!)
                try world.scheduler.run(what) { procedure.need!.isOver || disk.isDead }
                try look()
                if let error = procedure.takeError() { throw Broken("\(what): \(error) from a sound bucket") }
            }
        }
        throw Broken("\(what) asks for ever")
    }

    // MARK: comparing

    private static func kind(_ entry: Reference.Entry?) -> String {
        switch entry {
        case nil: "nothing"
        case .directory?: "a directory"
        case .file?: "a file"
        case .symlink(let target)?: "a link to \(target)"
        }
    }

    /// The entries, with the numbers of files replaced by the first path that has each.
    private static func shape(_ entries: [String: Reference.Entry]) -> [String: String] {
        var first: [Int: String] = [:]
        var shape: [String: String] = [:]
        for (path, entry) in entries.sorted(by: { $0.key < $1.key }) {
            if case .file(let number) = entry {
                first[number] = first[number] ?? path
                shape[path] = "file \(first[number]!)"
            } else {
                shape[path] = kind(entry)
            }
        }
        return shape
    }

    private static func text(_ entries: [String: Reference.Entry]) -> String {
        "{" + shape(entries).sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ") + "}"
    }
}
