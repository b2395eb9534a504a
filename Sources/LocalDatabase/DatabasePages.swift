import CSystem
import Glibc

/// The pages of a database file and its write-ahead log, read as bytes, whatever state they are in: SQLite is not asked
/// and nothing is changed. https://www.sqlite.org/fileformat2.html
///
/// Not for a file that this process has open as a `Database`: closing any descriptor drops SQLite's locks.
/// What it gives of a sound file that nobody writes to is what is committed. Of a damaged one it gives what looks like
/// pages, which may be old.
final class DatabasePages {
    static let pageBytes = 4096
    private static let logHeaderBytes = 32
    private static let frameHeaderBytes = 24

    private let file: Int32
    private let log: Int32
    /// Where in the log the latest version of a page lies.
    private var frames: [UInt32: Int64] = [:]
    private(set) var count: UInt32 = 0
    private var free: Set<UInt32> = []

    /// nil if the file can't be opened. A log that can't be is as none.
    init?(path: String) {
        file = pail_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard file >= 0 else { return nil }
        log = pail_open(path + "-wal", O_RDONLY | O_CLOEXEC, 0)
        let pages = Self.length(file) / Int64(Self.pageBytes)
        count = UInt32(clamping: pages)
        if log >= 0 { readLog() }
        count = max(count, frames.keys.max() ?? 0)
        readFreeList()
    }

    deinit {
        close(file)
        if log >= 0 { close(log) }
    }

    /// A page that is in use, numbered from 1; nil if it can't be read whole.
    func page(_ number: UInt32) -> PageBytes? {
        if free.contains(number) { return nil }
        return read(number)
    }

    private func read(_ number: UInt32) -> PageBytes? {
        if let offset = frames[number] { return Self.bytes(log, at: offset) }
        return Self.bytes(file, at: (Int64(number) - 1) * Int64(Self.pageBytes))
    }

    /// The frames of the log's present generation, up to the last that ends a transaction. Their checksums are not
    /// looked at: SQLite drops all that follows a damaged frame, which is here to be saved.
    private func readLog() {
        guard let header = Self.bytes(log, at: 0, count: Self.logHeaderBytes), header.uint32(0) & ~1 == 0x377f_0682
        else { return }
        let step = Int64(Self.frameHeaderBytes + Self.pageBytes)
        let length = Self.length(log)
        var open: [UInt32: Int64] = [:]
        var offset = Int64(Self.logHeaderBytes)
        while offset + step <= length, let frame = Self.bytes(log, at: offset, count: Self.frameHeaderBytes) {
            let number = frame.uint32(0)
            // What has other salts was written before the log was begun anew, or is damaged.
            if frame.uint32(8) == header.uint32(16), frame.uint32(12) == header.uint32(20), number > 0 {
                open[number] = offset + Int64(Self.frameHeaderBytes)
                if frame.uint32(4) != 0 {
                    frames.merge(open) { $1 }
                    open = [:]
                }
            }
            offset += step
        }
    }

    /// The pages that the file's header says are not in use: what lies in them was deleted.
    private func readFreeList() {
        guard let header = read(1) else { return }
        var trunk = header.uint32(32)
        var found: Set<UInt32> = []
        while trunk > 1, trunk <= count, found.insert(trunk).inserted, let page = read(trunk) {
            let leaves = Int(min(page.uint32(4), UInt32(Self.pageBytes / 4 - 2)))
            for index in 0..<leaves { found.insert(page.uint32(8 + 4 * index)) }
            trunk = page.uint32(0)
        }
        free = found
    }

    private static func length(_ descriptor: Int32) -> Int64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int64(status.st_size) : 0
    }

    private static func bytes(_ descriptor: Int32, at offset: Int64, count: Int = pageBytes) -> PageBytes? {
        var bytes = [UInt8](repeating: 0, count: count)
        return pread(descriptor, &bytes, count, off_t(offset)) == count ? PageBytes(bytes: bytes) : nil
    }
}

/// Bytes in which numbers are big end first. What lies outside reads as 0.
struct PageBytes {
    let bytes: [UInt8]

    func uint8(_ offset: Int) -> UInt8 { bytes.indices.contains(offset) ? bytes[offset] : 0 }
    func uint16(_ offset: Int) -> Int { Int(uint8(offset)) << 8 | Int(uint8(offset + 1)) }
    func uint32(_ offset: Int) -> UInt32 { UInt32(uint16(offset)) << 16 | UInt32(uint16(offset + 2)) }

    /// SQLite's varint: 7 bits a byte, 8 in the ninth.
    func varint(_ offset: inout Int) -> Int64 {
        var value: UInt64 = 0
        for _ in 0..<8 {
            let byte = uint8(offset)
            offset += 1
            value = value << 7 | UInt64(byte & 0x7f)
            if byte & 0x80 == 0 { return Int64(bitPattern: value) }
        }
        value = value << 8 | UInt64(uint8(offset))
        offset += 1
        return Int64(bitPattern: value)
    }
}
