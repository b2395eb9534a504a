import Cryptography
import Glibc
import Primitives

/// SHA-256 of each block of a content, by which what others have changed in it is found afterwards. 32 bytes of memory for
/// each `blockBytes`. Computing them reads the whole content.
struct BlockDigests: Sendable, Equatable {
    static let blockBytes: Int64 = 1 << 20
    /// Contents up to here are rather uploaded whole.
    static let leastBytes: Int64 = 8 << 20
    private static let digestBytes = 32

    private(set) var sizeBytes: Int64
    private var bytes: [UInt8] = []

    /// Of a content of which nothing is known: every block differs from any.
    init(unknown sizeBytes: Int64) {
        self.sizeBytes = sizeBytes
        bytes = [UInt8](repeating: 0, count: Self.count(sizeBytes) * Self.digestBytes)
    }

    /// Reads an open file. Other tasks get their turn after each block.
    init(of descriptor: Int32, _ path: String, sizeBytes: Int64) async throws(CacheError) {
        self.init(unknown: 0)
        self.sizeBytes = sizeBytes
        bytes.reserveCapacity(Self.count(sizeBytes) * Self.digestBytes)
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(Self.blockBytes), alignment: 4096)
        defer { room.deallocate() }
        for lower in stride(from: Int64(0), to: sizeBytes, by: Int(Self.blockBytes)) {
            let count = try Self.read(descriptor, path, lower..<min(lower + Self.blockBytes, sizeBytes), room)
            bytes += SHA256.hash(UnsafeRawBufferPointer(rebasing: room[..<count]))
            await Task.yield()
        }
    }

    /// nil if so many bytes aren't the digests of a content of that size.
    init?(sizeBytes: Int64, bytes: [UInt8]) {
        guard sizeBytes >= 0, bytes.count == Self.count(sizeBytes) * Self.digestBytes else { return nil }
        self.sizeBytes = sizeBytes
        self.bytes = bytes
    }

    private static func count(_ sizeBytes: Int64) -> Int { Int((sizeBytes + blockBytes - 1) / blockBytes) }

    var all: [UInt8] { bytes }

    var blocks: [ByteRange] {
        stride(from: Int64(0), to: sizeBytes, by: Int(Self.blockBytes)).map { lower in
            lower..<min(lower + Self.blockBytes, sizeBytes)
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
        blocks.filter { self[$0.lowerBound] != base[$0.lowerBound] || $0.upperBound > base.sizeBytes }
    }

    /// Whether the blocks from `offset` on, all of them whole, have these digests.
    func match(_ digests: [UInt8], at offset: Int64) -> Bool {
        let start = Int(offset / Self.blockBytes) * Self.digestBytes
        let end = start + digests.count
        guard offset % Self.blockBytes == 0, end <= bytes.count else { return false }
        return bytes[start..<end].elementsEqual(digests)
    }

    /// From now on these blocks differ from any.
    mutating func forget(_ blocks: [ByteRange]) {
        for block in blocks {
            let start = Int(block.lowerBound / Self.blockBytes) * Self.digestBytes
            guard start < bytes.count else { continue }
            bytes.replaceSubrange(start..<(start + Self.digestBytes), with: repeatElement(0, count: Self.digestBytes))
        }
    }

    /// Forgets what lies beyond the end of a shorter content.
    mutating func cut(to sizeBytes: Int64) {
        guard sizeBytes < self.sizeBytes else { return }
        self.sizeBytes = sizeBytes
        bytes.removeLast(bytes.count - Self.count(sizeBytes) * Self.digestBytes)
        if let last = blocks.last, last.length < Self.blockBytes { forget([last]) }
    }

    /// The digest of the block that begins at `offset`; empty beyond the end.
    private subscript(offset: Int64) -> ArraySlice<UInt8> {
        let start = Int(offset / Self.blockBytes) * Self.digestBytes
        return start < bytes.count ? bytes[start..<(start + Self.digestBytes)] : []
    }
}
