import CSystem
import Glibc
import Primitives

/// The transactions since the last commit, in a mapped file beside the database: what is stored here survives the death
/// of the process at once and costs no system call.
///
/// Format, native byte order: UInt64 magic; UInt64 `Mark`; from `headerBytes` on the entries, one for each transaction,
/// each at a multiple of 8: UInt32 length of the payload, UInt32 group, UInt32 index within the group, UInt32 CRC-32C of
/// these three and the payload, payload (see `StatementRecorder`). A group is what one commit of the database takes over;
/// the database holds the number of its last. Not thread-safe: under the database's lock.
final class RedoLog {
    /// How many bytes of entries of which group there are: one word, so that a process that dies leaves the old or the new.
    private struct Mark {
        var group: UInt32
        var used: UInt32

        init(group: UInt32, used: Int) {
            self.group = group
            self.used = UInt32(used)
        }
        init(_ word: UInt64) {
            group = UInt32(word >> 32)
            used = UInt32(truncatingIfNeeded: word)
        }
        var word: UInt64 { UInt64(group) << 32 | UInt64(used) }
    }

    static let headerBytes = 64
    private static let entryHeaderBytes = 16
    private static let magic: UInt64 = 0x5041_494c_5245_444f
    private static let markOffset = 8

    private let base: UnsafeMutableRawPointer
    private let lengthBytes: Int
    private var mark = Mark(group: 0, used: 0)
    private var count: UInt32 = 0

    static func path(ofDatabase path: String) -> String { path + "-redo" }

    /// Opens the log of the database at `path`, or makes an empty one of `lengthBytes`. To be called with the
    /// database's own lock held.
    init(database: String, lengthBytes: Int) throws(DatabaseError) {
        let path = Self.path(ofDatabase: database)
        do throws(Errno) {
            let (descriptor, length) = try Self.open(path, lengthBytes)
            defer { close(descriptor) }
            let map = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
            guard let map, map != MAP_FAILED else { throw .current }
            base = map
            self.lengthBytes = length
        } catch {
            throw DatabaseError.file(path, error)
        }
    }

    deinit { munmap(base, lengthBytes) }

    /// The descriptor, and how long the log is: one that is there already has its own length.
    private static func open(_ path: String, _ lengthBytes: Int) throws(Errno) -> (Int32, Int) {
        if let existing = try existing(path) { return existing }
        return (try create(path, lengthBytes), lengthBytes)
    }

    /// nil if there is none that can be used.
    private static func existing(_ path: String) throws(Errno) -> (Int32, Int)? {
        let descriptor = pail_open(path, O_RDWR | O_CLOEXEC, 0)
        if descriptor < 0 {
            if errno == ENOENT { return nil }
            throw .current
        }
        var status = stat()
        if fstat(descriptor, &status) == 0, status.st_size >= headerBytes { return (descriptor, Int(status.st_size)) }
        close(descriptor)
        return nil
    }

    /// Under a temporary name moved to `path` when it is complete.
    private static func create(_ path: String, _ lengthBytes: Int) throws(Errno) -> Int32 {
        let temporary = path + ".new"
        let descriptor = try Errno.check { pail_open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600) }
        do throws(Errno) {
            // Allocated, not only extended: a store into a hole of a full disk would be a SIGBUS.
            let failure = posix_fallocate(descriptor, 0, off_t(lengthBytes))
            if failure != 0 { throw Errno(failure) }
            var magic = magic
            try Errno.check { pwrite(descriptor, &magic, MemoryLayout.size(ofValue: magic), 0) }
            try Errno.check { rename(temporary, path) }
            return descriptor
        } catch {
            close(descriptor)
            unlink(temporary)
            throw error
        }
    }

    var isEmpty: Bool { mark.used == 0 }

    /// Empties the log: what is appended from now on belongs to `group`.
    func begin(group: UInt32) {
        // Power loss may have taken it.
        base.storeBytes(of: Self.magic, as: UInt64.self)
        mark = Mark(group: group, used: 0)
        count = 0
        storeMark()
    }

    /// Adds a transaction. False, and nothing has changed, if there is no room for it.
    func append(_ payload: [UInt8]) -> Bool {
        let place = Self.headerBytes + Int(mark.used)
        let length = Self.entryHeaderBytes + (payload.count + 7) / 8 * 8
        guard place + length <= lengthBytes else { return false }
        let entry = base + place
        entry.storeBytes(of: UInt32(payload.count), as: UInt32.self)
        entry.storeBytes(of: mark.group, toByteOffset: 4, as: UInt32.self)
        entry.storeBytes(of: count, toByteOffset: 8, as: UInt32.self)
        payload.withUnsafeBytes {
            (entry + Self.entryHeaderBytes).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
        }
        entry.storeBytes(of: Self.checksum(entry, payload.count), toByteOffset: 12, as: UInt32.self)
        mark.used += UInt32(length)
        count += 1
        storeMark()
        return true
    }

    /// Calls `body` with each transaction of the group, in order, up to the first that is not whole. They are those that
    /// a process made after the group before was committed.
    func replay(
        group: UInt32, _ body: (UnsafeRawBufferPointer) throws(DatabaseError) -> Void
    ) throws(DatabaseError) {
        guard base.load(as: UInt64.self) == Self.magic else { return }
        var entries = Entries(bytes: UnsafeRawBufferPointer(start: base, count: lengthBytes), group: group)
        while let payload = entries.next() { try body(payload) }
    }

    /// Whether less is sound than a process that died has stored. Power loss may leave that, too.
    static func isDamaged(database: String) -> Bool {
        look(at: database) { bytes in
            guard let bytes, bytes.load(as: UInt64.self) == magic else { return true }
            let mark = Mark(bytes.load(fromByteOffset: markOffset, as: UInt64.self))
            var entries = Entries(bytes: bytes, group: mark.group)
            while entries.next() != nil {}
            return entries.place < headerBytes + Int(mark.used)
        } ?? false
    }

    /// Whether there is something that a start might have to run.
    static func holdsEntries(database: String) -> Bool {
        look(at: database) { bytes in
            guard let bytes else { return false }
            return Mark(bytes.load(fromByteOffset: markOffset, as: UInt64.self)).used > 0
        } ?? false
    }

    /// Gives `body` the log's bytes, or nil where it has none; nil if there is no log.
    private static func look(at database: String, _ body: (UnsafeRawBufferPointer?) -> Bool) -> Bool? {
        let descriptor = pail_open(path(ofDatabase: database), O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return body(nil) }
        let length = Int(status.st_size)
        guard length >= headerBytes, let map = mmap(nil, length, PROT_READ, MAP_SHARED, descriptor, 0),
            map != MAP_FAILED
        else { return body(nil) }
        defer { munmap(map, length) }
        return body(UnsafeRawBufferPointer(start: map, count: length))
    }

    /// After all that the entry consists of, so that a process that dies in between leaves the entry out.
    private func storeMark() { pail_publish(base + Self.markOffset, mark.word) }

    private static func checksum(_ entry: UnsafeRawPointer, _ payloadBytes: Int) -> UInt32 {
        pail_crc32c(pail_crc32c(0, entry, 12), entry + entryHeaderBytes, payloadBytes)
    }

    /// The payloads of a group's entries.
    private struct Entries {
        let bytes: UnsafeRawBufferPointer
        let group: UInt32
        var place = RedoLog.headerBytes
        var count: UInt32 = 0

        mutating func next() -> UnsafeRawBufferPointer? {
            guard place + entryHeaderBytes <= bytes.count else { return nil }
            let entry = bytes.baseAddress! + place
            let length = Int(entry.load(as: UInt32.self))
            guard length <= bytes.count - place - entryHeaderBytes,
                entry.load(fromByteOffset: 4, as: UInt32.self) == group,
                entry.load(fromByteOffset: 8, as: UInt32.self) == count,
                entry.load(fromByteOffset: 12, as: UInt32.self) == checksum(entry, length)
            else { return nil }
            place += entryHeaderBytes + (length + 7) / 8 * 8
            count += 1
            return UnsafeRawBufferPointer(start: entry + entryHeaderBytes, count: length)
        }
    }
}
