import CSystem
import Glibc
import ObjectStore
import Primitives

/// A new version while it is being written, in `.pail-store/tmp`: nobody sees it before it is renamed to its place.
final class TemporaryFile {
    /// Bytes moved per system call, and between two looks at whether the call was cancelled.
    static let chunkBytes = 1 << 20

    let directory: Descriptor
    let name: String
    let descriptor: Descriptor
    private(set) var isPlaced = false

    init(in directory: Descriptor, _ request: Request) throws(StoreError) {
        self.directory = directory
        let name = "\(getpid())-\(String(UInt64.random(in: 0...UInt64.max), radix: 36))"
        self.name = name
        let flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        descriptor = Descriptor(
            try request.check("create") { pail_openat(directory.number, name, flags, 0o666) })
    }

    deinit { if !isPlaced { unlinkat(directory.number, name, 0) } }

    /// Writes what the plan describes; `base` is the version that its unchanged segments come from.
    func fill(_ plan: UploadPlan, from base: Descriptor?, _ request: Request) throws(StoreError) {
        let isCloned = try clone(base, plan, request)
        for segment in plan.segments {
            switch segment {
            case .new(let range): try write(range, of: plan.source, request)
            case .unchanged(let range):
                if let base, !isCloned { try copy(range, of: base, request) }
            }
        }
    }

    /// Shares the base's extents where the file system can and there is something to share.
    private func clone(_ base: Descriptor?, _ plan: UploadPlan, _ request: Request) throws(StoreError) -> Bool {
        guard let base, plan.newBytes < plan.sizeBytes, pail_clone(descriptor.number, base.number) == 0 else {
            return false
        }
        try request.check("truncate") { ftruncate(descriptor.number, Int(plan.sizeBytes)) }
        return true
    }

    private func write(_ range: ByteRange, of source: any ByteSource, _ request: Request) throws(StoreError) {
        let capacity = min(Int(range.length), Self.chunkBytes)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 4096)
        defer { buffer.deallocate() }
        var offset = range.lowerBound
        while offset < range.upperBound {
            try request.checkCancelled()
            let count = min(capacity, Int(range.upperBound - offset))
            let chunk = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
            try source.read(at: offset, into: chunk)
            try write(UnsafeRawBufferPointer(chunk), at: offset, request)
            offset += Int64(count)
        }
    }

    private func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64, _ request: Request) throws(StoreError) {
        var done = 0
        while done < bytes.count {
            done += try request.check("write") {
                pwrite(descriptor.number, bytes.baseAddress! + done, bytes.count - done, Int(offset) + done)
            }
        }
    }

    private func copy(_ range: ByteRange, of base: Descriptor, _ request: Request) throws(StoreError) {
        var offset = range.lowerBound
        while offset < range.upperBound {
            try request.checkCancelled()
            let count = min(Self.chunkBytes * 16, Int(range.upperBound - offset))
            let copied = pail_copy_file_range(base.number, offset, descriptor.number, offset, count)
            if copied > 0 {
                offset += copied
                continue
            }
            let bytes = try base.bytes(offset..<(offset + Int64(min(count, Self.chunkBytes))), request)
            guard !bytes.isEmpty else { throw request.error(.conditionFailed, "the base became shorter") }
            let result = bytes.withUnsafeBytes { buffer -> Result<Void, StoreError> in
                do throws(StoreError) {
                    return .success(try write(buffer, at: offset, request))
                } catch {
                    return .failure(error)
                }
            }
            try result.get()
            offset += Int64(bytes.count)
        }
    }

    /// Gives the version its time and makes it survive power loss.
    func finish(at time: Timestamp, _ request: Request) throws(StoreError) {
        let times = [time.timespec, time.timespec]
        try request.check("set times") { futimens(descriptor.number, times) }
        try request.check("fsync") { fsync(descriptor.number) }
    }

    /// Moves the file to its place. False if the directory is gone, or if `exclusively` and something is there.
    func place(
        in parent: Descriptor, as target: ByteString, exclusively: Bool, _ request: Request
    ) throws(StoreError) -> Placement {
        let path = target.cString
        let noReplace: UInt32 = 1
        var result = pail_renameat2(directory.number, name, parent.number, path, exclusively ? noReplace : 0)
        // File systems without RENAME_NOREPLACE; the lock and the check before have to do.
        if result != 0, errno == EINVAL { result = renameat(directory.number, name, parent.number, path) }
        if result == 0 {
            isPlaced = true
            return .done
        }
        let code = errno
        switch code {
        case ENOENT: return .parentIsGone
        case EEXIST: return .taken
        default: throw request.failure(Errno(code), "rename")
        }
    }

    enum Placement { case done, parentIsGone, taken }
}
