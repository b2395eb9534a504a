import CFuse
import Primitives
import Tree

/// The request a thread is working on as the kernel wrote it, for what libfuse 3.14 doesn't hand on (linux/fuse.h).
struct KernelMessage {
    private let bytes: UnsafeRawBufferPointer

    /// nil if it is too short to be a request.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= MemoryLayout<pail_in_header>.size else { return nil }
        self.bytes = bytes
    }

    static let interruptOpcode: UInt32 = 36

    /// FUSE_TMPFILE, of which libfuse knows nothing until 3.17, is FUSE_CREATE with a name that no file can have.
    static func makeReadable(_ message: UnsafeMutableRawBufferPointer) {
        guard message.count >= MemoryLayout<pail_in_header>.size else { return }
        var header = message.loadUnaligned(as: pail_in_header.self)
        guard header.opcode == makeNamelessOpcode else { return }
        header.opcode = createOpcode
        message.storeBytes(of: header, as: pail_in_header.self)
    }

    /// What the kernel calls a file that has no name.
    static let noName: ByteString = "/"
    private static let makeNamelessOpcode: UInt32 = 51
    private static let createOpcode: UInt32 = 35

    private var header: pail_in_header { bytes.loadUnaligned(as: pail_in_header.self) }
    var opcode: UInt32 { header.opcode }
    /// What the kernel knows the request by.
    var unique: UInt64 { header.unique }
    var node: NodeID { NodeID(header.nodeid) }
    var process: Int32 { Int32(bitPattern: header.pid) }

    /// Of FUSE_INIT: what the kernel offers.
    var initialOffer: pail_init_in? { opcode == 26 ? body(pail_init_in.self) : nil }
    /// Of FUSE_INTERRUPT: the request it is about.
    var interrupted: UInt64 { body(UInt64.self) ?? 0 }

    // The file system, not the kernel, has to clear set-id bits (FUSE_HANDLE_KILLPRIV_V2):

    /// FUSE_WRITE_KILL_SUIDGID
    var writeKillsPrivileges: Bool { (body(pail_write_in.self)?.write_flags ?? 0) & (1 << 2) != 0 }
    /// FATTR_KILL_SUIDGID
    var changeKillsPrivileges: Bool { (body(UInt32.self) ?? 0) & (1 << 11) != 0 }

    private func body<Value: BitwiseCopyable>(_ type: Value.Type) -> Value? {
        let offset = MemoryLayout<pail_in_header>.size
        guard bytes.count >= offset + MemoryLayout<Value>.size else { return nil }
        return bytes.loadUnaligned(fromByteOffset: offset, as: type)
    }

    /// What lies so many bytes behind the header.
    func value<Value: BitwiseCopyable>(at offset: Int, _ type: Value.Type) -> Value? {
        let start = MemoryLayout<pail_in_header>.size + offset
        guard bytes.count >= start + MemoryLayout<Value>.size else { return nil }
        return bytes.loadUnaligned(fromByteOffset: start, as: type)
    }

    /// The name, up to its NUL, so many bytes behind the header.
    func name(at offset: Int) -> ByteString? {
        let start = MemoryLayout<pail_in_header>.size + offset
        guard bytes.count > start, let end = bytes[start...].firstIndex(of: 0) else { return nil }
        return ByteString(bytes: Array(bytes[start..<end]))
    }
}
