import CSystem
import Glibc
import Primitives

/// The first bytes of a page map, little endian: 8 bytes `PAILMAP2`, UInt32 cache format, UInt32 page size,
/// `OriginWord`, Int64 number of pages, UInt32 CRC-32C of all before it but the word; zeros up to `lengthBytes`.
struct PageMapHeader {
    static let lengthBytes = 4096
    private static let magic: UInt64 = 0x3250_414D_4C49_4150
    private static let usedBytes = 36

    var originBytes: Int64
    var pages: Int64

    func store(to base: UnsafeMutableRawPointer) {
        base.storeBytes(of: Self.magic, toByteOffset: 0, as: UInt64.self)
        base.storeBytes(of: UInt32(CacheFormat.current), toByteOffset: 8, as: UInt32.self)
        base.storeBytes(of: UInt32(PageMap.pageBytes), toByteOffset: 12, as: UInt32.self)
        base.storeBytes(of: OriginWord(originBytes).stored, toByteOffset: OriginWord.offset, as: UInt64.self)
        base.storeBytes(of: pages, toByteOffset: 24, as: Int64.self)
        base.storeBytes(of: Self.checksum(UnsafeRawPointer(base)), toByteOffset: 32, as: UInt32.self)
    }

    /// The header of an open file of that length; nil if it isn't a sound page map's.
    static func read(_ descriptor: Int32, fileBytes: Int64) -> PageMapHeader? {
        var bytes = [UInt8](repeating: 0, count: usedBytes)
        guard pread(descriptor, &bytes, usedBytes, 0) == usedBytes else { return nil }
        return bytes.withUnsafeBytes { load($0.baseAddress!, fileBytes: fileBytes) }
    }

    private static func load(_ base: UnsafeRawPointer, fileBytes: Int64) -> PageMapHeader? {
        guard base.loadUnaligned(as: UInt64.self) == magic,
            base.loadUnaligned(fromByteOffset: 8, as: UInt32.self) == UInt32(CacheFormat.current),
            base.loadUnaligned(fromByteOffset: 12, as: UInt32.self) == UInt32(PageMap.pageBytes),
            base.loadUnaligned(fromByteOffset: 32, as: UInt32.self) == checksum(base),
            let origin = OriginWord(stored: base.loadUnaligned(fromByteOffset: OriginWord.offset, as: UInt64.self))
        else { return nil }
        let pages = base.loadUnaligned(fromByteOffset: 24, as: Int64.self)
        guard pages == fileBytes - Int64(lengthBytes), pages >= 0,
            (origin.originBytes + PageMap.pageBytes - 1) / PageMap.pageBytes <= pages
        else { return nil }
        return PageMapHeader(originBytes: origin.originBytes, pages: pages)
    }

    private static func checksum(_ base: UnsafeRawPointer) -> UInt32 {
        pail_crc32c(pail_crc32c(0, base, OriginWord.offset), base + 24, 8)
    }
}

/// The length of the origin, which changes while the map is in use, and 16 bits that check it, in one word: it is
/// written by a single store.
struct OriginWord {
    static let offset = 16
    static let maximumBytes: Int64 = 0xffff_ffff_ffff

    let originBytes: Int64

    init(_ originBytes: Int64) { self.originBytes = originBytes }

    /// nil if the check doesn't fit.
    init?(stored: UInt64) {
        originBytes = Self.originBytes(stored)
        guard self.stored == stored else { return nil }
    }

    /// The length in a word that is known to be sound.
    static func originBytes(_ stored: UInt64) -> Int64 { Int64(stored & UInt64(maximumBytes)) }

    var stored: UInt64 {
        let number = UInt64(originBytes)
        let sum = withUnsafeBytes(of: number.littleEndian) { pail_crc32c(0, $0.baseAddress, $0.count) }
        return number | UInt64((sum ^ sum >> 16) & 0xffff) << 48
    }
}

/// A page's byte: its flags in the low half, their complement in the high half, so that a flipped bit is noticed.
enum PageCode {
    private static let all = PageMap.present | PageMap.dirty | PageMap.uploading

    static func stored(_ flags: UInt8) -> UInt8 { flags | ~flags << 4 }
    static func flags(_ stored: UInt8) -> UInt8 { stored & all }
    static func isSound(_ stored: UInt8) -> Bool { stored == Self.stored(flags(stored)) }

    /// What the flags mean after the death of a process: what was being uploaded is dirty, and a page that was to be
    /// overwritten whole but was never marked present is as it was, missing.
    static func recovered(_ flags: UInt8) -> UInt8 {
        if flags & PageMap.present == 0 { return 0 }
        return flags & PageMap.uploading == 0 ? flags : (flags | PageMap.dirty) & ~PageMap.uploading
    }
}
