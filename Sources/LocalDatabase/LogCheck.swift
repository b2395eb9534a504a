import CSystem
import Glibc

/// Looks whether a write-ahead log or a redo log is damaged. SQLite doesn't say: it takes the log up to the first frame whose checksum
/// is wrong and drops the rest. https://www.sqlite.org/fileformat2.html#the_write_ahead_log
public enum LogCheck {
    private static let headerBytes = 32
    private static let frameHeaderBytes = 24

    /// Whether frames that count follow one that doesn't, which the death of a process can't leave; power loss can.
    /// To be asked before the database beside it is opened.
    public static func isDamaged(databasePath: String) -> Bool {
        isWriteAheadDamaged(databasePath) || RedoLog.isDamaged(database: databasePath)
    }

    private static func isWriteAheadDamaged(_ databasePath: String) -> Bool {
        let descriptor = pail_open(databasePath + "-wal", O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size > headerBytes else { return false }
        guard let header = read(descriptor, at: 0, count: headerBytes), let isBigEndian = endianness(header) else {
            return true
        }
        var sum = Checksum(isBigEndian: isBigEndian)
        sum.add(header.bytes[..<24])
        guard sum.isStored(in: header, at: 24) else { return true }
        return followsABreak(descriptor, Int64(status.st_size), header, sum)
    }

    private static func endianness(_ header: PageBytes) -> Bool? {
        let magic = header.uint32(0)
        return magic & ~1 == 0x377f_0682 ? magic & 1 == 1 : nil
    }

    private static func followsABreak(
        _ descriptor: Int32, _ length: Int64, _ header: PageBytes, _ first: Checksum
    ) -> Bool {
        let frameBytes = frameHeaderBytes + DatabasePages.pageBytes
        var sum = first
        var isBroken = false
        var offset = Int64(headerBytes)
        while offset + Int64(frameBytes) <= length, let frame = read(descriptor, at: offset, count: frameBytes) {
            let counts = frame.uint32(8) == header.uint32(16) && frame.uint32(12) == header.uint32(20)
            if isBroken, counts { return true }
            if !isBroken {
                sum.add(frame.bytes[..<8])
                sum.add(frame.bytes[frameHeaderBytes...])
                isBroken = !counts || !sum.isStored(in: frame, at: 16)
            }
            offset += Int64(frameBytes)
        }
        return false
    }

    private static func read(_ descriptor: Int32, at offset: Int64, count: Int) -> PageBytes? {
        var bytes = [UInt8](repeating: 0, count: count)
        return pread(descriptor, &bytes, count, off_t(offset)) == count ? PageBytes(bytes: bytes) : nil
    }

    /// Section 4.2 of the format: two sums over pairs of 32-bit words.
    private struct Checksum {
        let isBigEndian: Bool
        var first: UInt32 = 0
        var second: UInt32 = 0

        /// A multiple of 8 bytes.
        mutating func add(_ bytes: ArraySlice<UInt8>) {
            bytes.withUnsafeBytes { buffer in
                for offset in stride(from: 0, to: buffer.count - 7, by: 8) {
                    first = first &+ word(buffer, offset) &+ second
                    second = second &+ word(buffer, offset + 4) &+ first
                }
            }
        }

        private func word(_ buffer: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
            let word = buffer.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
            return isBigEndian ? UInt32(bigEndian: word) : UInt32(littleEndian: word)
        }

        func isStored(in bytes: PageBytes, at offset: Int) -> Bool {
            bytes.uint32(offset) == first && bytes.uint32(offset + 4) == second
        }
    }
}
