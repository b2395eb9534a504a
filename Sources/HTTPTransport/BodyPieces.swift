import Glibc

/// Joins what curl gives, at most 16 KiB at a time, to pieces that are worth a system call. For one thread at a time.
final class BodyPieces {
    private let receiver: any HTTPReceiving
    private let pieceBytes: Int
    private let buffer: UnsafeMutableRawBufferPointer
    private var count = 0

    /// - Parameter bufferBytes: what to reserve, where the whole body is known to be shorter than a piece.
    init(_ receiver: any HTTPReceiving, pieceBytes: Int, bufferBytes: Int) {
        self.receiver = receiver
        self.pieceBytes = pieceBytes
        buffer = .allocate(byteCount: max(1, min(bufferBytes, pieceBytes)), alignment: 64)
    }

    deinit { buffer.deallocate() }

    /// False: the receiver gave up, or more came than was announced.
    func add(_ chunk: UnsafeRawBufferPointer) -> Bool {
        var rest = chunk
        while !rest.isEmpty {
            let length = min(rest.count, buffer.count - count)
            guard length > 0 else { return false }
            let part = UnsafeRawBufferPointer(rebasing: rest[..<length])
            UnsafeMutableRawBufferPointer(rebasing: buffer[count..<count + length]).copyMemory(from: part)
            count += length
            rest = UnsafeRawBufferPointer(rebasing: rest[length...])
            if count == pieceBytes, !flush() { return false }
        }
        return true
    }

    /// Gives away what is left.
    func flush() -> Bool {
        guard count > 0 else { return true }
        defer { count = 0 }
        return receiver.receive(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }
}
