import Cryptography
import Glibc
import Primitives

/// SHA-256 of each block of a content, by which what others have changed in it is found afterwards. 32 bytes of memory for
/// each `blockBytes`. Computing them reads the whole content.
struct BlockDigests: Sendable {
    static let blockBytes: Int64 = 1 << 20
    /// Contents up to here are rather uploaded whole.
    static let leastBytes: Int64 = 8 << 20
    private static let digestBytes = 32

    let sizeBytes: Int64
    private var bytes: [UInt8] = []

    /// - Parameter isUnknown: whether a range differs from what the digests are to tell of; its digest is none's.
    init(
        of descriptor: Int32, _ path: String, sizeBytes: Int64, isUnknown: (ByteRange) -> Bool = { _ in false }
    ) throws(CacheError) {
        self.sizeBytes = sizeBytes
        bytes.reserveCapacity(Int((sizeBytes + Self.blockBytes - 1) / Self.blockBytes) * Self.digestBytes)
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(Self.blockBytes), alignment: 4096)
        defer { room.deallocate() }
        for lower in stride(from: Int64(0), to: sizeBytes, by: Int(Self.blockBytes)) {
            let block = lower..<min(lower + Self.blockBytes, sizeBytes)
            if isUnknown(block) {
                bytes += [UInt8](repeating: 0, count: Self.digestBytes)
                continue
            }
            let count = try Self.read(descriptor, path, block, room)
            bytes += SHA256.hash(UnsafeRawBufferPointer(rebasing: room[..<count]))
        }
    }

    private static func read(
        _ descriptor: Int32, _ path: String, _ block: ByteRange, _ room: UnsafeMutableRawBufferPointer
    ) throws(CacheError) -> Int {
        var done = 0
        while done < Int(block.length) {
            let count = try CacheError.check("read", path) {
                pread(
                    descriptor, room.baseAddress! + done, Int(block.length) - done,
                    off_t(block.lowerBound) + off_t(done))
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// The blocks that differ from those of `base`.
    func changed(since base: BlockDigests) -> [ByteRange] {
        var changed: [ByteRange] = []
        for lower in stride(from: Int64(0), to: sizeBytes, by: Int(Self.blockBytes)) {
            let block = lower..<min(lower + Self.blockBytes, sizeBytes)
            if self[lower] != base[lower] || block.upperBound > base.sizeBytes { changed.append(block) }
        }
        return changed
    }

    /// From now on these blocks differ from any.
    mutating func forget(_ blocks: [ByteRange]) {
        for block in blocks {
            let start = Int(block.lowerBound / Self.blockBytes) * Self.digestBytes
            guard start < bytes.count else { continue }
            bytes.replaceSubrange(start..<(start + Self.digestBytes), with: repeatElement(0, count: Self.digestBytes))
        }
    }

    /// The digest of the block that begins at `offset`; empty beyond the end.
    private subscript(offset: Int64) -> ArraySlice<UInt8> {
        let start = Int(offset / Self.blockBytes) * Self.digestBytes
        return start < bytes.count ? bytes[start..<(start + Self.digestBytes)] : []
    }
}
