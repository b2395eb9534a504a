import CSystem
import Glibc
import Primitives

/// Digests beside the content that they are of, little endian: 8 bytes `PAILSUM1`, Int64 size of the content, UInt32
/// size of a block, UInt32 CRC-32C of all the rest; then the digests.
///
/// What is stored is there after the death of the process. After power loss it may be an older state: then it has to go.
enum DigestFile {
    static let suffix = ".sum"
    private static let magic: UInt64 = 0x314D_5553_4C49_4150
    private static let headerBytes = 24
    /// Of a file; what is larger isn't read.
    private static let maximumBytes = 1 << 28

    /// Replaces what is there, whole or not at all.
    static func store(_ digests: BlockDigests, at path: String) throws(CacheError) {
        var bytes = [UInt8](repeating: 0, count: headerBytes)
        bytes += digests.all
        bytes.withUnsafeMutableBytes { room in
            room.storeBytes(of: magic, toByteOffset: 0, as: UInt64.self)
            room.storeBytes(of: digests.sizeBytes, toByteOffset: 8, as: Int64.self)
            room.storeBytes(of: UInt32(BlockDigests.blockBytes), toByteOffset: 16, as: UInt32.self)
            room.storeBytes(of: checksum(UnsafeRawBufferPointer(room)), toByteOffset: 20, as: UInt32.self)
        }
        let temporary = path + ".new"
        let descriptor = try CacheError.check("create", temporary) {
            pail_open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        }
        defer { close(descriptor) }
        var done = 0
        while done < bytes.count {
            done += try CacheError.check("write", temporary) {
                bytes.withUnsafeBytes { write(descriptor, $0.baseAddress! + done, $0.count - done) }
            }
        }
        try CacheError.check("rename", temporary) { rename(temporary, path) }
    }

    /// nil if there are none, or they aren't sound.
    static func load(_ path: String) -> BlockDigests? {
        let descriptor = pail_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, (headerBytes...maximumBytes).contains(Int(status.st_size)) else {
            return nil
        }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        guard read(descriptor, &bytes, bytes.count) == bytes.count else { return nil }
        let sizeBytes = bytes.withUnsafeBytes { room -> Int64? in
            guard room.loadUnaligned(as: UInt64.self) == magic,
                room.loadUnaligned(fromByteOffset: 16, as: UInt32.self) == UInt32(BlockDigests.blockBytes),
                room.loadUnaligned(fromByteOffset: 20, as: UInt32.self) == checksum(room)
            else { return nil }
            return room.loadUnaligned(fromByteOffset: 8, as: Int64.self)
        }
        return sizeBytes.flatMap { BlockDigests(sizeBytes: $0, bytes: Array(bytes[headerBytes...])) }
    }

    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        pail_crc32c(
            pail_crc32c(0, bytes.baseAddress, 20), bytes.baseAddress! + headerBytes, bytes.count - headerBytes)
    }
}
