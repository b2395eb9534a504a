import CSimulation
import Glibc
import Primitives

/// How a life ends.
enum Crash: String, CaseIterable {
    /// kill -9: what was written is in the kernel's cache.
    case kill
    /// The machine goes down: what was synced is on the disk, and of the rest whatever the kernel had written back.
    case powerLoss
}

/// The disk under the cache directory, which lies in memory: it sees each call that changes it, knows what would be
/// there after power loss, and can end the process at any call. After its death a process changes nothing any more.
///
/// More hostile than real disks: each page or sector, each length and mode, each change of a directory that was not
/// synced may or may not be there after power loss, whatever their order. There is one disk at a time.
final class Disk {
    private enum Opened {
        case file(Inode)
        case directory(String)
    }

    /// A change of a directory that was not synced yet.
    private enum Change {
        case add(String, Inode)
        case remove(String)
        case move(String, String, Inode)

        var directories: [String] {
            switch self {
            case .add(let path, _), .remove(let path): [Disk.parent(path)]
            case .move(let from, let to, _): [Disk.parent(from), Disk.parent(to)]
            }
        }
    }

    /// What a write replaced, for a disk that forgets it.
    private struct Undo {
        let path: String
        let offset: Int64
        let bytes: [UInt8]
        let sizeBytes: Int
    }

    let root: String
    private(set) var isDead = false
    /// Calls so far that a death could have come at.
    private(set) var points = 0
    private var entries: [String: Inode] = [:]
    private var durableEntries: [String: Inode] = [:]
    private var changes: [Change] = []
    private var opened: [Int32: Opened] = [:]
    private var mappings: [UInt: Inode] = [:]
    private var pointsLeft: Int?
    private var undo: Undo?
    var generator = SeededGenerator(seed: 0)
    var plant: Plant?
    /// The kernel writes back now and then. Costs time, so only where power will be lost.
    var writesBack = false

    nonisolated(unsafe) private static var present: Disk?

    init(root: String) {
        self.root = root
        Disk.present = self
        pail_observe_disk(
            { call in Disk.present?.before(call!.pointee) ?? pail_disk_verdict() },
            { call in Disk.present?.after(call!.pointee) })
    }

    deinit { pail_observe_disk(nil, nil) }

    /// Changes files as nobody's process.
    private func unobserved(_ body: () -> Void) {
        let was = pail_look_away(1)
        body()
        _ = pail_look_away(was)
    }

    /// An empty disk; the directories of contents are there already.
    func clear() {
        unobserved { for path in entries.keys { unlink(path) } }
        entries = [:]
        durableEntries = [:]
        changes = []
        opened = [:]
        mappings = [:]
        pointsLeft = nil
        undo = nil
        isDead = false
        points = 0
    }

    /// The process dies at the `points`-th call from now on.
    func die(after points: Int?) { pointsLeft = points }
    func die() {
        isDead = true
        freezeMappings()
    }

    static func parent(_ path: String) -> String {
        String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
    }

    // MARK: what the process does

    private func before(_ call: pail_disk_call) -> pail_disk_verdict {
        guard isWatched(call) else { return pail_disk_verdict() }
        if isDead { return pail_disk_verdict(error: EIO, carriedOut: 0) }
        points += 1
        if writesBack, UInt8.random(in: 0..<32, using: &generator) == 0 { writeBack() }
        if let left = pointsLeft {
            pointsLeft = left - 1
            if left <= 1 { return dieAt(call) }
        }
        if call.operation == PAIL_DISK_WRITE { keepUndo(call) }
        return pail_disk_verdict()
    }

    private func isWatched(_ call: pail_disk_call) -> Bool {
        switch call.operation {
        case PAIL_DISK_OPEN:
            call.flags & (O_CREAT | O_TRUNC) != 0 && call.flags & 0o20_000_000 == 0 && isOurs(call.path)
        case PAIL_DISK_RENAME, PAIL_DISK_UNLINK, PAIL_DISK_MAKE_DIRECTORY: isOurs(call.path)
        case PAIL_DISK_SYNC_MAP: mappings[UInt(bitPattern: call.address)] != nil
        default: opened[call.descriptor] != nil
        }
    }

    private func isOurs(_ path: UnsafePointer<CChar>?) -> Bool {
        guard let path else { return false }
        return strncmp(path, root, root.utf8.count) == 0
    }

    private func dieAt(_ call: pail_disk_call) -> pail_disk_verdict {
        pointsLeft = nil
        var done: Int64 = 0
        let page = Int64(Inode.pageBytes)
        if call.operation == PAIL_DISK_WRITE, call.length > page, Bool.random(using: &generator) {
            let end = (call.offset / page + Int64.random(in: 1...(call.length / page), using: &generator)) * page
            done = end - call.offset
            if case .file(let inode)? = opened[call.descriptor] {
                inode.markDirty(ByteRange(offset: call.offset, length: done))
            }
        }
        die()
        return pail_disk_verdict(error: EIO, carriedOut: min(done, call.length))
    }

    private func after(_ call: pail_disk_call) {
        switch call.operation {
        case PAIL_DISK_OPEN: noteOpen(call)
        case PAIL_DISK_CLOSE: opened[call.descriptor] = nil
        case PAIL_DISK_WRITE, PAIL_DISK_ALLOCATE:
            file(call)?.markDirty(ByteRange(offset: call.offset, length: call.length))
        case PAIL_DISK_TRUNCATE: file(call)?.markCut(at: call.length)
        case PAIL_DISK_SYNC, PAIL_DISK_SYNC_DATA: noteSync(call)
        case PAIL_DISK_MAP: noteMapping(call)
        case PAIL_DISK_SYNC_MAP:
            if let inode = mappings[UInt(bitPattern: call.address)], let path = inode.path, plant != .skippedMapSync {
                RawFile.with(path) { inode.becomeDurable($0, withMode: false) }
            }
        case PAIL_DISK_RENAME: noteRename(String(cString: call.path), String(cString: call.target))
        case PAIL_DISK_UNLINK:
            let path = String(cString: call.path)
            guard let inode = entries.removeValue(forKey: path) else { return }
            inode.path = nil
            changes.append(.remove(path))
        default: break
        }
    }

    private func file(_ call: pail_disk_call) -> Inode? {
        if case .file(let inode)? = opened[call.descriptor] { return inode }
        return nil
    }

    private func noteOpen(_ call: pail_disk_call) {
        guard isOurs(call.path) else { return }
        let path = String(cString: call.path)
        if call.flags & O_DIRECTORY != 0 {
            if call.flags & 0o20_000_000 != 0o20_000_000 { opened[call.descriptor] = .directory(path) }
            return
        }
        let inode: Inode
        if let known = entries[path] {
            inode = known
            if call.flags & O_TRUNC != 0 { inode.markCut(at: 0) }
        } else {
            inode = Inode(path: path)
            entries[path] = inode
            changes.append(.add(path, inode))
        }
        opened[call.descriptor] = .file(inode)
    }

    private func noteMapping(_ call: pail_disk_call) {
        guard let inode = file(call) else { return }
        inode.isMapped = true
        mappings[UInt(bitPattern: call.address)] = inode
    }

    private func noteRename(_ from: String, _ to: String) {
        guard let inode = entries.removeValue(forKey: from) else { return }
        entries[to]?.path = nil
        entries[to] = inode
        inode.path = to
        changes.append(.move(from, to, inode))
    }

    private func noteSync(_ call: pail_disk_call) {
        switch opened[call.descriptor] {
        case .file(let inode)?:
            if inode.kind == .content, plant == .skippedContentSync { return }
            if inode.kind == .log, plant == .skippedLogSync { return }
            inode.becomeDurable(
                RawFile(descriptor: call.descriptor), withMode: call.operation == PAIL_DISK_SYNC)
        case .directory(let path)?:
            if plant == .skippedDirectorySync, path != root { return }
            let due = changes.filter { $0.directories.contains(path) }
            changes.removeAll { $0.directories.contains(path) }
            for change in due { apply(change, to: &durableEntries) }
        case nil: break
        }
    }

    private func apply(_ change: Change, to entries: inout [String: Inode]) {
        switch change {
        case .add(let path, let inode): entries[path] = inode
        case .remove(let path): entries[path] = nil
        case .move(let from, let to, let inode):
            if entries[from] === inode { entries[from] = nil }
            entries[to] = inode
        }
    }

    private func writeBack() {
        let dirty = entries.filter { !$0.value.dirtyPages.isEmpty }.keys.sorted()
        guard let path = dirty.randomElement(using: &generator), let inode = entries[path] else { return }
        let pages = inode.dirtyPages.sorted().filter { _ in Bool.random(using: &generator) }
        RawFile.with(path) { inode.writeBack(Set(pages), $0) }
    }

    private func keepUndo(_ call: pail_disk_call) {
        guard let inode = file(call), let path = inode.path else { return }
        switch plant {
        case .forgottenWrite: if inode.kind != .content { return }
        case .forgottenCommit: if inode.kind != .log { return }
        default: return
        }
        let file = RawFile(descriptor: call.descriptor)
        undo = Undo(
            path: path, offset: call.offset, bytes: file.bytes(Int(call.offset)..<Int(call.offset + call.length)),
            sizeBytes: file.size)
    }

    // MARK: death and what comes after

    private func freezeMappings() {
        unobserved {
            for (path, inode) in entries where inode.isMapped {
                inode.frozen = RawFile.with(path) { $0.bytes() }
            }
        }
    }

    /// After the dead process is gone: the next one finds what its kind of death left.
    func revive(after crash: Crash) {
        unobserved { restore(after: crash) }
        isDead = false
    }

    private func restore(after crash: Crash) {
        opened = [:]
        mappings = [:]
        if let undo, crash == .kill {
            RawFile.with(undo.path) { file in
                _ = undo.bytes.withUnsafeBytes {
                    pwrite(file.descriptor, $0.baseAddress, $0.count, off_t(undo.offset))
                }
                if file.size > undo.sizeBytes { ftruncate(file.descriptor, off_t(undo.sizeBytes)) }
            }
        }
        undo = nil
        for (path, inode) in entries {
            guard let bytes = inode.frozen else { continue }
            RawFile.with(path) { file in
                _ = bytes.withUnsafeBytes { pwrite(file.descriptor, $0.baseAddress, $0.count, 0) }
            }
            inode.frozen = nil
        }
        if crash == .powerLoss { losePower() }
    }

    private func losePower() {
        for change in changes where Bool.random(using: &generator) { apply(change, to: &durableEntries) }
        changes = []
        let luck = Inode.Luck.allCases.randomElement(using: &generator) ?? .torn
        var image: [(path: String, bytes: [UInt8], mode: mode_t)] = []
        for (path, inode) in durableEntries.sorted(by: { $0.key < $1.key }) {
            let now = inode.path.flatMap { path in RawFile.with(path) { ($0.bytes(), $0.mode) } }
            let (present, mode) = now ?? (inode.durable, inode.durableMode)
            let left = inode.afterPowerLoss(present, mode: mode, luck, using: &generator)
            image.append((path, left.bytes, left.mode))
        }
        for path in entries.keys { unlink(path) }
        entries = [:]
        for file in image {
            let inode = Inode(path: file.path)
            inode.begin(file.bytes, mode: file.mode)
            entries[file.path] = inode
            _ = RawFile.with(file.path, creating: true) { $0.replace(with: file.bytes, mode: file.mode) }
        }
        durableEntries = entries
    }

    /// Gives all files the same time, since the real one is none of the simulation's.
    func setTimes(_ time: Timestamp) {
        let times = [time.timespec, time.timespec]
        for path in entries.keys { utimensat(AT_FDCWD, path, times, 0) }
    }
}
