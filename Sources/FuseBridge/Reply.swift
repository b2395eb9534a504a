import CFuse
import FileSystem
import Glibc
import Primitives

/// A request's one answer to the kernel. Consuming it answers; dropping it answers EIO.
struct Reply: ~Copyable {
    private let request: OpaquePointer

    init(_ request: OpaquePointer) { self.request = request }

    deinit { fuse_reply_err(request, EIO) }

    consuming func fail(_ error: Errno) {
        let request = take()
        fuse_reply_err(request, error.code)
    }

    /// For requests that the kernel wants no answer to.
    consuming func none() {
        let request = take()
        fuse_reply_none(request)
    }

    /// Answers with data, which is only read.
    consuming func bytes(_ bytes: UnsafeRawBufferPointer) {
        let request = take()
        _ = Self.data(request, bytes)
    }

    /// False if the kernel no longer waited for the answer, so that what it holds must be given back.
    consuming func send(_ answer: Answer) -> Bool {
        let request = take()
        return Self.send(request, answer) != -ENOENT
    }

    /// The request, which the caller must now answer by another `Reply`.
    consuming func take() -> OpaquePointer {
        let request = self.request
        discard self
        return request
    }

    private static func send(_ request: OpaquePointer, _ answer: Answer) -> Int32 {
        switch answer {
        case .done: return fuse_reply_err(request, 0)
        case .entry(let entry):
            var parameter = fuse_entry_param(entry)
            return fuse_reply_entry(request, &parameter)
        case .attributes(let attributes, let milliseconds):
            var status = stat(attributes)
            return fuse_reply_attr(request, &status, Double(milliseconds) / 1000)
        case .opened(let opened, let flags): return value(request, pail_open_out(opened, flags: flags))
        case .created(let entry, let opened, let flags):
            var created = pail_create_out()
            created.entry = pail_entry_out(entry)
            created.open = pail_open_out(opened, flags: flags)
            return value(request, created)
        case .directory(let opened): return value(request, pail_open_out(opened))
        case .target(let target): return target.bytes.withUnsafeBytes { data(request, $0) }
        case .bytes(let bytes): return bytes.withUnsafeBytes { data(request, $0) }
        case .needed(let count): return fuse_reply_xattr(request, count)
        case .written(let count): return fuse_reply_write(request, count)
        case .position(let offset): return fuse_reply_lseek(request, Int(offset))
        case .statistics(let statistics):
            var status = statvfs(statistics)
            return fuse_reply_statfs(request, &status)
        }
    }

    /// The 7.40 layouts of OPEN and CREATE, which libfuse 3.14 can't fill.
    private static func value<Value: BitwiseCopyable>(_ request: OpaquePointer, _ value: Value) -> Int32 {
        withUnsafeBytes(of: value) { data(request, $0) }
    }

    private static func data(_ request: OpaquePointer, _ bytes: UnsafeRawBufferPointer) -> Int32 {
        fuse_reply_buf(request, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
    }
}
