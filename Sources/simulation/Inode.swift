import CSystem
import Glibc

/// What the disk knows of a file: what would be there after power loss, and what has changed since.
final class Inode {
    static let pageBytes = 4_096
    static let sectorBytes = 512

    enum Kind { case content, map, log, database }

    let kind: Kind
    /// nil when it has no name any more.
    var path: String?
    private(set) var durable: [UInt8] = []
    private(set) var durableMode: mode_t = 0o600
    private(set) var dirtyPages: Set<Int> = []
    /// Changed through a mapping, which nobody sees: every page may be dirty.
    var isMapped = false
    /// What a mapping held when the process died: what it stores afterwards doesn't count.
    var frozen: [UInt8]?

    init(path: String) {
        self.path = path
        if path.hasSuffix("-wal") {
            kind = .log
        } else if path.contains(".map") {
            kind = .map
        } else {
            kind = path.contains("/content/") ? .content : .database
        }
    }

    func markDirty(_ range: Range<Int64>) {
        guard !range.isEmpty else { return }
        let page = Int64(Self.pageBytes)
        for index in Int(range.lowerBound / page)...Int((range.upperBound - 1) / page) { dirtyPages.insert(index) }
    }

    /// The length was set: what lies beyond it on either side differs.
    func markCut(at length: Int64) { markDirty(min(length, Int64(durable.count))..<Int64(durable.count)) }

    /// The whole file is on the disk as it is now.
    func becomeDurable(_ file: RawFile, withMode: Bool) {
        if withMode { durableMode = file.mode }
        if isMapped || dirtyPages.count > 64 {
            durable = file.bytes()
        } else {
            write(dirtyPages, of: file.bytes)
            resize(&durable, file.size)
        }
        dirtyPages = []
    }

    /// The kernel writes back what it likes, when it likes.
    func writeBack(_ pages: Set<Int>, _ file: RawFile) {
        // A cut that is not synced stays so: there is nothing to write beyond the end.
        let present = pages.filter { $0 * Self.pageBytes < file.size }
        write(present, of: file.bytes)
        dirtyPages.subtract(present)
    }

    private func write(_ pages: Set<Int>, of read: (Range<Int>) -> [UInt8]) {
        for page in pages {
            let lower = page * Self.pageBytes
            let bytes = read(lower..<(lower + Self.pageBytes))
            guard !bytes.isEmpty else { continue }
            if durable.count < lower + bytes.count { resize(&durable, lower + bytes.count) }
            durable.replaceSubrange(lower..<(lower + bytes.count), with: bytes)
            // A page in the kernel's cache is zeros beyond the file's end.
            let end = min(lower + Self.pageBytes, durable.count)
            for index in (lower + bytes.count)..<max(lower + bytes.count, end) { durable[index] = 0 }
        }
    }

    /// How much of what was not synced reached the disk.
    enum Luck: CaseIterable { case nothing, something, torn, everything }

    /// What is there after power loss. `present` is what the running system had.
    func afterPowerLoss(
        _ present: [UInt8], mode: mode_t, _ luck: Luck, using generator: inout some RandomNumberGenerator
    ) -> (bytes: [UInt8], mode: mode_t) {
        if luck == .nothing { return (durable, durableMode) }
        if luck == .everything { return (present, mode) }
        var bytes = durable
        for page in isMapped ? differingPages(present) : dirtyPages.sorted() {
            var isWritten = Bool.random(using: &generator)
            for sector in 0..<(Self.pageBytes / Self.sectorBytes) {
                if luck == .torn { isWritten = Bool.random(using: &generator) }
                if isWritten { take(sector, of: page, from: present, into: &bytes) }
            }
        }
        resize(&bytes, Bool.random(using: &generator) ? present.count : durable.count)
        return (bytes, Bool.random(using: &generator) ? mode : durableMode)
    }

    private func take(_ sector: Int, of page: Int, from present: [UInt8], into bytes: inout [UInt8]) {
        let lower = page * Self.pageBytes + sector * Self.sectorBytes
        let upper = lower + Self.sectorBytes
        // Beyond the file's end there is nothing in the kernel's cache but the rest of the last page.
        guard page * Self.pageBytes < present.count else { return }
        if bytes.count < upper { resize(&bytes, upper) }
        for index in lower..<upper { bytes[index] = index < present.count ? present[index] : 0 }
    }

    private func differingPages(_ present: [UInt8]) -> [Int] {
        let count = (max(present.count, durable.count) + Self.pageBytes - 1) / Self.pageBytes
        return (0..<count).filter { page in
            let lower = page * Self.pageBytes
            func part(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
                bytes[min(lower, bytes.count)..<min(lower + Self.pageBytes, bytes.count)]
            }
            return part(present) != part(durable)
        }
    }

    /// The machine has started again: what is there is durable.
    func begin(_ bytes: [UInt8], mode: mode_t) {
        durable = bytes
        durableMode = mode
        dirtyPages = []
    }

    var isClean: Bool { dirtyPages.isEmpty && !isMapped }
}

private func resize(_ bytes: inout [UInt8], _ count: Int) {
    if bytes.count > count {
        bytes.removeLast(bytes.count - count)
    } else if bytes.count < count {
        bytes.append(contentsOf: repeatElement(0, count: count - bytes.count))
    }
}

/// A file read and written behind the back of those who watch the disk.
struct RawFile {
    let descriptor: Int32

    private var status: stat {
        var status = stat()
        fstat(descriptor, &status)
        return status
    }

    var size: Int { Int(status.st_size) }
    var mode: mode_t { status.st_mode & 0o7777 }

    func bytes() -> [UInt8] { bytes(0..<size) }

    /// Fewer at the end of the file.
    func bytes(_ range: Range<Int>) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            guard let base = buffer.baseAddress else { return }
            count = max(0, pread(descriptor, base, range.count, off_t(range.lowerBound)))
        }
    }

    /// Makes these its content; pages of zeros become holes.
    func replace(with bytes: [UInt8], mode: mode_t) {
        ftruncate(descriptor, 0)
        ftruncate(descriptor, off_t(bytes.count))
        bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            for lower in stride(from: 0, to: buffer.count, by: Inode.pageBytes) {
                let count = min(Inode.pageBytes, buffer.count - lower)
                let page = UnsafeRawBufferPointer(rebasing: buffer[lower..<(lower + count)])
                if page.contains(where: { $0 != 0 }) { pwrite(descriptor, base + lower, count, off_t(lower)) }
            }
        }
        fchmod(descriptor, mode)
    }

    static func with<Result>(_ path: String, creating: Bool = false, _ body: (RawFile) -> Result) -> Result? {
        let descriptor = pail_open(path, O_RDWR | O_CLOEXEC | (creating ? O_CREAT : 0), 0o600)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        return body(RawFile(descriptor: descriptor))
    }
}
