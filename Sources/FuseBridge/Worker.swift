import CFuse
import FileSystem
import Glibc
import Primitives
import Tree

/// A thread's memory for the kernel's requests: the request comes to its start, and data to answer with is put behind
/// the request's headers. One buffer does for both, since only writes carry data and only reads answer with it.
final class Worker {
    let buffer: UnsafeMutableRawBufferPointer
    private var messageBytes = 0

    init() {
        let bytes = Limits.maximumTransferBytes + Limits.headerBytes
        buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 4096)
        // MADV_POPULATE_WRITE: a process that is killed gets no more pages, and a request that was being copied to pages
        // yet to come would end with EIO. With all of them there, it is copied and sent again to the next process.
        madvise(buffer.baseAddress, buffer.count, 23)
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

    /// A copy of it.
    var received: [UInt8] { [UInt8](UnsafeRawBufferPointer(rebasing: buffer[..<messageBytes])) }

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
            if bridge.isTakenOver, answerForFormer(device, bridge) { continue }
            CurrentRequest.number = message?.number ?? 0
            process(session)
            CurrentRequest.number = 0
            if let message, message.opcode == KernelMessage.interruptOpcode {
                bridge.parking.interrupt(message.interrupted)
            }
        }
    }

    /// Makes the handles of the former process known. True if the request is one that it has carried out: answered.
    private func answerForFormer(_ device: Int32, _ bridge: Bridge) -> Bool {
        guard let message else { return false }
        for (handle, node) in message.handles { bridge.fileSystem.reopen(handle, of: node) }
        guard let answer = RepeatedRequest(message: message).answer(bridge.fileSystem) else { return false }
        // What the answer holds stays counted if nobody waits any more; that costs a node's memory until the unmount.
        _ = write(device, answer, answer.count)
        return true
    }

    /// Takes a message that was kept.
    func take(_ kept: [UInt8]) {
        messageBytes = min(kept.count, buffer.count)
        buffer.copyBytes(from: kept[..<messageBytes])
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
