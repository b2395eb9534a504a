import CFuse
import Glibc
import Primitives

/// A thread's memory for the kernel's requests: the request comes to its start, and data to answer with is put behind
/// the request's headers. One buffer does for both, since only writes carry data and only reads answer with it.
final class Worker {
    let buffer: UnsafeMutableRawBufferPointer
    private var messageBytes = 0

    init() {
        let bytes = Limits.maximumTransferBytes + Limits.headerBytes
        buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 4096)
    }

    deinit { buffer.deallocate() }

    /// The worker of the calling thread; nil on threads that take no requests.
    static var current: Worker? {
        guard let pointer = pthread_getspecific(key) else { return nil }
        return Unmanaged<Worker>.fromOpaque(pointer).takeUnretainedValue()
    }

    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        pthread_key_create(&key, nil)
        return key
    }()

    /// The request being worked on.
    var message: KernelMessage? { KernelMessage(UnsafeRawBufferPointer(rebasing: buffer[..<messageBytes])) }

    /// Room for data to answer a request with that carries none itself.
    var scratch: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: buffer[Limits.headerBytes...])
    }

    /// Takes requests from `device` and has libfuse call their operations, until the file system is unmounted or
    /// `isStopping` says so.
    func serve(_ session: OpaquePointer, device: Int32, bridge: Bridge) {
        pthread_setspecific(Self.key, Unmanaged.passUnretained(self).toOpaque())
        defer { pthread_setspecific(Self.key, nil) }
        while !bridge.isStopping {
            guard receive(from: device) else { return }
            process(session)
            if let message, message.opcode == KernelMessage.interruptOpcode {
                bridge.parking.interrupt(message.interrupted)
            }
        }
    }

    /// False when the file system is unmounted. After an interruption or for a request taken back there is no message.
    func receive(from device: Int32) -> Bool {
        let count = read(device, buffer.baseAddress, buffer.count)
        messageBytes = max(0, count)
        if count >= 0 { return count > 0 }
        return errno == EINTR || errno == ENOENT || errno == EAGAIN
    }

    /// Has libfuse parse the message and call the operation.
    func process(_ session: OpaquePointer) {
        guard messageBytes > 0 else { return }
        KernelMessage.makeReadable(UnsafeMutableRawBufferPointer(rebasing: buffer[..<messageBytes]))
        var request = fuse_buf()
        request.mem = buffer.baseAddress
        request.size = messageBytes
        fuse_session_process_buf(session, &request)
    }
}
