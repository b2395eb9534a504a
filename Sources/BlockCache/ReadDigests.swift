import Cryptography
import Primitives

/// SHA-256 of each block of a range, of the bytes as they are read from its beginning to its end. Who reads it again from
/// the beginning begins anew. Thread-safe.
final class ReadDigests: Sendable {
    private struct State {
        var next: Int64
        var hasher = SHA256Hasher()
        var digests: [UInt8] = []
    }

    private let range: ByteRange
    private let state: Lock<State>

    /// - Parameter range: whole blocks.
    init(_ range: ByteRange) {
        self.range = range
        state = Lock(State(next: range.lowerBound))
    }

    /// Of the whole range; nil if it wasn't read to the end.
    var all: [UInt8]? { state.withLock { $0.next == range.upperBound ? $0.digests : nil } }

    func update(_ bytes: UnsafeRawBufferPointer, at offset: Int64) {
        state.withLock { state in
            if offset == range.lowerBound { state = State(next: offset) }
            guard offset == state.next else { return }
            var rest = bytes[...]
            while !rest.isEmpty {
                let blockEnd = (state.next / BlockDigests.blockBytes + 1) * BlockDigests.blockBytes
                let piece = rest.prefix(Int(blockEnd - state.next))
                state.hasher.update(UnsafeRawBufferPointer(rebasing: piece))
                state.next += Int64(piece.count)
                rest = rest.dropFirst(piece.count)
                guard state.next == blockEnd else { continue }
                state.digests += state.hasher.finish()
                state.hasher = SHA256Hasher()
            }
        }
    }
}
