/// A call of the file system, by path. Files that are open have a slot.
enum Operation: CustomStringConvertible {
    /// O_CREAT | O_RDWR, with O_TRUNC if told.
    case open(slot: Int, path: String, truncating: Bool)
    case write(slot: Int, offset: Int, bytes: [UInt8])
    case read(slot: Int)
    case sync(slot: Int)
    case close(slot: Int)
    case resize(path: String, bytes: Int)
    case makeDirectory(path: String)
    case symlink(path: String, target: String)
    case link(path: String, new: String)
    case rename(path: String, new: String)
    case exchange(path: String, other: String)
    case unlink(path: String)
    case removeDirectory(path: String)
    case changeMode(path: String, mode: UInt32)
    case syncDirectory(path: String)

    var description: String {
        switch self {
        case .open(let slot, let path, let truncating): "open \(path) as \(slot)\(truncating ? " truncating" : "")"
        case .write(let slot, let offset, let bytes): "write \(slot): \(bytes.count) bytes at \(offset)"
        case .read(let slot): "read \(slot)"
        case .sync(let slot): "fsync \(slot)"
        case .close(let slot): "close \(slot)"
        case .resize(let path, let bytes): "truncate \(path) to \(bytes)"
        case .makeDirectory(let path): "mkdir \(path)"
        case .symlink(let path, let target): "symlink \(path) to \(target)"
        case .link(let path, let new): "link \(path) as \(new)"
        case .rename(let path, let new): "rename \(path) to \(new)"
        case .exchange(let path, let other): "exchange \(path) and \(other)"
        case .unlink(let path): "unlink \(path)"
        case .removeDirectory(let path): "rmdir \(path)"
        case .changeMode(let path, let mode): "chmod \(path) \(String(mode, radix: 8))"
        case .syncDirectory(let path): "fsync directory \(path)/"
        }
    }
}

/// What POSIX says that there is: a value, so that it can be asked what an operation would do.
struct Reference {
    enum Entry: Hashable {
        case directory
        /// Hard links have the same number.
        case file(Int)
        case symlink(String)
    }

    enum Verdict { case succeeds, fails, isNoUse }

    private(set) var entries: [String: Entry] = [:]
    var contents: [Int: [UInt8]] = [:]
    var modes: [Int: UInt32] = [:]
    private(set) var slots: [Int: Int] = [:]
    private var nextFile = 0

    var files: [String] { paths { if case .file = $0 { true } else { false } } }
    var directories: [String] { paths { $0 == .directory } }

    private func paths(_ isWanted: (Entry) -> Bool) -> [String] {
        entries.filter { isWanted($0.value) }.keys.sorted()
    }

    func file(at path: String) -> Int? {
        if case .file(let file)? = entries[path] { return file }
        return nil
    }

    func content(at path: String) -> [UInt8]? { file(at: path).flatMap { contents[$0] } }

    static func parent(_ path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
    }

    func isDirectory(_ path: String) -> Bool { path.isEmpty || entries[path] == .directory }

    private func isSymlink(_ path: String) -> Bool { if case .symlink? = entries[path] { true } else { false } }

    private func hasParent(_ path: String) -> Bool {
        var parent = path
        while !parent.isEmpty {
            parent = Self.parent(parent)
            if !isDirectory(parent) { return false }
        }
        return true
    }

    func isEmpty(_ directory: String) -> Bool { !entries.keys.contains { $0.hasPrefix(directory + "/") } }

    /// What the operation will come to.
    func verdict(_ operation: Operation) -> Verdict {
        switch operation {
        case .open(_, let path, _): ok(hasParent(path) && (entries[path] == nil || file(at: path) != nil))
        case .write(let slot, _, _), .read(let slot), .sync(let slot), .close(let slot):
            slots[slot] == nil ? .isNoUse : .succeeds
        case .resize(let path, _): ok(hasParent(path) && file(at: path) != nil)
        // Only files' modes are kept here; by now another kind may have the name.
        case .changeMode(let path, _) where hasParent(path) && entries[path] != nil && file(at: path) == nil: .isNoUse
        case .changeMode(let path, _): ok(hasParent(path) && file(at: path) != nil)
        case .makeDirectory(let path), .symlink(let path, _): ok(hasParent(path) && entries[path] == nil)
        case .link(let path, _) where hasParent(path) && isSymlink(path): .isNoUse
        case .link(let path, let new):
            ok(hasParent(path) && file(at: path) != nil && hasParent(new) && entries[new] == nil)
        case .unlink(let path): ok(hasParent(path) && entries[path] != nil && entries[path] != .directory)
        case .removeDirectory(let path): ok(hasParent(path) && entries[path] == .directory && isEmpty(path))
        case .syncDirectory(let path): ok(hasParent(path) && isDirectory(path))
        case .exchange(let path, let other):
            ok(
                hasParent(path) && hasParent(other) && entries[path] != nil && entries[other] != nil
                    && !path.hasPrefix(other + "/") && !other.hasPrefix(path + "/"))
        case .rename(let path, let new): ok(canRename(path, new))
        }
    }

    private func ok(_ holds: Bool) -> Verdict { holds ? .succeeds : .fails }

    private func canRename(_ path: String, _ new: String) -> Bool {
        guard hasParent(path), hasParent(new), let moved = entries[path], !new.hasPrefix(path + "/") else {
            return false
        }
        guard path != new, let replaced = entries[new] else { return true }
        if replaced == .directory { return moved == .directory && isEmpty(new) }
        return moved != .directory
    }

    /// Does what a successful operation does. Returns the file whose content it changed.
    @discardableResult
    mutating func apply(_ operation: Operation) -> Int? {
        switch operation {
        case .open(let slot, let path, let truncating): return open(slot, path, truncating)
        case .write(let slot, let offset, let bytes): return write(slot, offset, bytes)
        case .close(let slot): slots[slot] = nil
        case .resize(let path, let count):
            guard let file = file(at: path), var bytes = contents[file] else { return nil }
            bytes = Array(bytes.prefix(count)) + Array(repeating: 0, count: max(0, count - bytes.count))
            contents[file] = bytes
            return file
        case .makeDirectory(let path): entries[path] = .directory
        case .symlink(let path, let target): entries[path] = .symlink(target)
        case .link(let path, let new): entries[new] = entries[path]
        case .unlink(let path), .removeDirectory(let path): entries[path] = nil
        case .changeMode(let path, let mode): if let file = file(at: path) { modes[file] = mode }
        case .rename(let path, let new):
            if case .file = entries[path], entries[path] == entries[new] { return nil }
            guard path != new else { return nil }
            entries[new] = nil
            move(path, new)
        case .exchange(let path, let other):
            guard path != other else { return nil }
            move(path, "\u{0}")
            move(other, path)
            move("\u{0}", other)
        case .read, .sync, .syncDirectory: break
        }
        return nil
    }

    private mutating func open(_ slot: Int, _ path: String, _ truncating: Bool) -> Int? {
        if let file = file(at: path) {
            slots[slot] = file
            guard truncating, contents[file]?.isEmpty == false else { return nil }
            contents[file] = []
            return file
        }
        let file = add(path, [], mode: 0o644)
        slots[slot] = file
        return file
    }

    private mutating func write(_ slot: Int, _ offset: Int, _ bytes: [UInt8]) -> Int? {
        guard let file = slots[slot], var content = contents[file], !bytes.isEmpty else { return nil }
        let end = offset + bytes.count
        if content.count < end { content.append(contentsOf: repeatElement(0, count: end - content.count)) }
        content.replaceSubrange(offset..<end, with: bytes)
        contents[file] = content
        return file
    }

    private mutating func move(_ path: String, _ new: String) {
        for (old, entry) in entries where old == path || old.hasPrefix(path + "/") {
            entries[old] = nil
            entries[new + old.dropFirst(path.count)] = entry
        }
    }

    @discardableResult
    mutating func add(_ path: String, _ bytes: [UInt8], mode: UInt32) -> Int {
        nextFile += 1
        entries[path] = .file(nextFile)
        contents[nextFile] = bytes
        modes[nextFile] = mode
        return nextFile
    }

    mutating func add(_ path: String, _ entry: Entry) { entries[path] = entry }

    /// The process is gone, and with it what it had open.
    mutating func closeAll() { slots = [:] }

    /// Nothing but numbers for new files is kept.
    mutating func removeAll() {
        entries = [:]
        contents = [:]
        modes = [:]
        slots = [:]
    }
}

/// Which contents a file may have after a death: those since the last fsync, and mixtures of their sectors; a write
/// that makes it longer may have come as far as some page.
enum Mixture {
    static func isPossible(_ bytes: [UInt8], of versions: [[UInt8]]) -> Bool {
        if versions.contains(bytes) { return true }
        let isWholePages = bytes.count % Inode.pageBytes == 0
        guard
            versions.contains(where: { $0.count == bytes.count || (isWholePages && $0.count > bytes.count) })
        else { return false }
        for lower in stride(from: 0, to: bytes.count, by: Inode.sectorBytes) {
            let sector = lower..<min(lower + Inode.sectorBytes, bytes.count)
            if versions.contains(where: { version in sector.allSatisfy { has(version, $0, bytes[$0]) } }) { continue }
            // What is fetched for the end of an object's last page meets what was written there, in mid-sector.
            for index in sector where bytes[index] != 0 {
                if !versions.contains(where: { has($0, index, bytes[index]) }) { return false }
            }
        }
        return true
    }

    private static func has(_ version: [UInt8], _ index: Int, _ byte: UInt8) -> Bool {
        (index < version.count ? version[index] : 0) == byte
    }
}
