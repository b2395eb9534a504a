import Cryptography
import HTTPTransport
import ObjectStore
import Primitives

/// A range of a source as the body of a request: read once for its checksums and once more while it is sent.
final class PartBody: Sendable {
    /// What goes into a request's headers.
    struct Digests: Sendable, Equatable {
        var crc32c: String?
        var md5: String?
        /// In hexadecimal.
        var sha256: String?
    }

    private static let chunkBytes = 256 << 10

    let range: ByteRange
    private let source: any ByteSource
    private let failure = Lock(StoreError?.none)

    init(_ source: any ByteSource, _ range: ByteRange) {
        self.source = source
        self.range = range
    }

    convenience init(bytes: [UInt8]) { self.init(MemorySource(bytes), 0..<Int64(bytes.count)) }

    /// Why the source gave up while the body was sent.
    var sourceError: StoreError? { failure.withLock { $0 } }

    /// - Parameter crc: CRC-32C, else MD5.
    func digests(crc: Bool, sha256: Bool) async throws(StoreError) -> Digests {
        var checksum = CRC32C()
        var md5 = MD5Hasher()
        var hasher = SHA256Hasher()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.chunkBytes, alignment: 16)
        defer { buffer.deallocate() }
        var offset = range.lowerBound
        while offset < range.upperBound {
            if Task.isCancelled { throw StoreError(.cancelled, "write") }
            let count = Int(min(Int64(Self.chunkBytes), range.upperBound - offset))
            let chunk = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
            try source.read(at: offset, into: chunk)
            let bytes = UnsafeRawBufferPointer(chunk)
            if crc { checksum.update(bytes) } else { md5.update(bytes) }
            if sha256 { hasher.update(bytes) }
            offset += Int64(count)
            await Task.yield()
        }
        var digests = Digests()
        if crc { digests.crc32c = checksum.base64 } else { digests.md5 = Base64.encode(md5.finish()) }
        if sha256 { digests.sha256 = Hexadecimal.encode(hasher.finish()) }
        return digests
    }

    var httpBody: HTTPBody {
        if range.isEmpty { return .none }
        return .source(lengthBytes: range.length) { offset, buffer in
            do throws(StoreError) {
                try self.source.read(at: self.range.lowerBound + offset, into: buffer)
                return true
            } catch {
                self.failure.withLock { $0 = error }
                return false
            }
        }
    }
}
