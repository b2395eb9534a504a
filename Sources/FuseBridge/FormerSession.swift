import CFuse
import FileSystem
import Glibc
import Primitives
import Tree

/// A mount that another process has served until it died, and that lives on since its device was kept open.
public struct FormerSession: Sendable {
    /// The kernel's end, open on /dev/fuse.
    public var device: Int32
    /// The kernel's first message as it came, from which libfuse learns what was agreed on.
    public var offer: [UInt8]
    /// Where it is mounted. Nothing may be asked of that path before requests are answered.
    public var mountPoint: String
    /// The kernel may read and write contents by itself.
    public var passesThrough: Bool

    public init(device: Int32, offer: [UInt8], mountPoint: String, passesThrough: Bool) {
        self.passesThrough = passesThrough
        self.device = device
        self.offer = offer
        self.mountPoint = mountPoint
    }

    /// FUSE_HAS_RESEND, bit 39 of the flags: the kernel (6.9 and later) can send again what was not answered. With
    /// others a request that was under way would wait for ever.
    public var canResend: Bool {
        let message = offer.withUnsafeBytes { KernelMessage($0)?.initialOffer }
        return (message?.flags2 ?? 0) & (1 << 7) != 0
    }

    /// Nobody has unmounted it meanwhile.
    public var isConnected: Bool { Self.isConnected(device) }

    /// Ends every request with an error and takes the mount away.
    public func abort() {
        let point = MountPoint(path: mountPoint)
        if !point.abort() { try? point.detach(lazily: true) }
        close(device)
    }

    static func isConnected(_ device: Int32) -> Bool {
        var look = pollfd(fd: device, events: 0, revents: 0)
        return poll(&look, 1, 0) == 0
    }

    /// Has the kernel send again what the former process had taken and not answered (FUSE_NOTIFY_RESEND). To be called
    /// before anything is taken: that would be sent again as well.
    func resend() throws(Errno) {
        var notice = pail_out_header(len: 16, error: 7, unique: 0)
        try Errno.check { write(device, &notice, MemoryLayout<pail_out_header>.size) }
    }
}

/// A request that the former process may have carried out already.
struct RepeatedRequest {
    let message: KernelMessage

    /// The whole answer, if it was carried out: what it asked for is there now. nil: it is to be served as any other.
    func answer(_ fs: FileSystem) -> [UInt8]? {
        guard message.isResent, message.number != 0, fs.isDone(request: message.number) else { return nil }
        do throws(Failure) {
            guard let name = message.madeName else { return reply() }
            if let flags = message.createFlags {
                let (entry, opened) = try fs.created(message.node, name, flags: flags)
                var body = pail_create_out()
                body.entry = pail_entry_out(entry)
                body.open = pail_open_out(opened, flags: flags)
                return reply(body)
            }
            return reply(pail_entry_out(try fs.made(message.node, name)))
        } catch {
            // It was there and has gone: that is as if it had gone right after the answer.
            guard case .errno(let error) = error else { return nil }
            return reply(error: error)
        }
    }

    private func reply(error: Errno = Errno(0)) -> [UInt8] {
        bytes(pail_out_header(len: 16, error: -error.code, unique: message.unique))
    }

    private func reply<Body: BitwiseCopyable>(_ body: Body) -> [UInt8] {
        let length = UInt32(MemoryLayout<pail_out_header>.size + MemoryLayout<Body>.size)
        return bytes(pail_out_header(len: length, error: 0, unique: message.unique)) + bytes(body)
    }

    private func bytes<Value: BitwiseCopyable>(_ value: Value) -> [UInt8] { withUnsafeBytes(of: value) { [UInt8]($0) } }
}

extension KernelMessage {
    /// FUSE_UNIQUE_RESEND: the request has been sent before, perhaps to a process that has died.
    var isResent: Bool { unique & Self.resent != 0 }

    private static let resent: UInt64 = 1 << 63

    /// What a change of names is known by when it is sent again; 0 for requests that may be carried out twice.
    var number: UInt64 { Self.once.contains(opcode) ? unique & ~Self.resent : 0 }

    /// SYMLINK, MKNOD, MKDIR, UNLINK, RMDIR, RENAME, LINK, SETXATTR, REMOVEXATTR, CREATE, RENAME2.
    private static let once: Set<UInt32> = [6, 8, 9, 10, 11, 12, 13, 21, 24, 35, 45]

    /// The name that a request of this kind makes; nil for those that make none.
    var madeName: ByteString? {
        // Behind fuse_mknod_in, fuse_mkdir_in, fuse_link_in, fuse_create_in.
        switch opcode {
        case 6: name(at: 0)
        case 8: name(at: 16)
        case 9, 13: name(at: 8)
        case 35: name(at: 16)
        default: nil
        }
    }

    /// Of CREATE: the flags of open(2).
    var createFlags: Int32? { opcode == 35 ? value(at: 0, Int32.self) : nil }

    /// The open files that the request is about, each with its node.
    var handles: [(HandleID, NodeID)] {
        switch opcode {
        // READ, WRITE, RELEASE, FSYNC, FLUSH, READDIR, RELEASEDIR, FSYNCDIR, FALLOCATE, READDIRPLUS, LSEEK
        case 15, 16, 18, 20, 25, 28, 29, 30, 43, 44, 46: handle(at: 0, node)
        // GETATTR with FUSE_GETATTR_FH, SETATTR with FATTR_FH
        case 3: (value(at: 0, UInt32.self) ?? 0) & 1 != 0 ? handle(at: 8, node) : []
        case 4: (value(at: 0, UInt32.self) ?? 0) & (1 << 6) != 0 ? handle(at: 8, node) : []
        // COPY_FILE_RANGE, also the one of 64 bits
        case 47, 53: handle(at: 0, node) + handle(at: 24, NodeID(value(at: 16, UInt64.self) ?? 0))
        default: []
        }
    }

    private func handle(at offset: Int, _ node: NodeID) -> [(HandleID, NodeID)] {
        value(at: offset, UInt64.self).map { [(HandleID($0), node)] } ?? []
    }
}
