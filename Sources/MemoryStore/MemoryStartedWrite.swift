import ObjectStore
import Primitives

/// Parts in memory, until they become an object.
public final class MemoryStartedWrite: StartedWrite {
    private struct State {
        var parts: [Int: [UInt8]] = [:]
        var isEnded = false
        var sendings = 0
    }

    public let key: ByteString
    public let partBytes: Int64
    public let maximumParts = 10_000
    private let state = Lock(State())

    let metadata: Metadata
    let contentType: String?

    init(_ key: ByteString, partBytes: Int64, _ metadata: Metadata, _ contentType: String?) {
        self.key = key
        self.metadata = metadata
        self.contentType = contentType
        self.partBytes = partBytes
    }

    /// How often a part was sent.
    public var sendings: Int { state.withLock { $0.sendings } }
    /// It was abandoned, or is an object.
    public var isEnded: Bool { state.withLock { $0.isEnded } }

    public func send(_ number: Int, from source: any ByteSource) async throws(StoreError) {
        if Task.isCancelled { throw StoreError(.cancelled, "write", key: key) }
        let bytes = try source.bytes(in: ByteRange(offset: Int64(number) * partBytes, length: partBytes))
        state.withLock { state in
            state.parts[number] = bytes
            state.sendings += 1
        }
    }

    public func abandon() async { end() }

    func end() {
        state.withLock { state in
            state.isEnded = true
            state.parts = [:]
        }
    }

    /// The bytes of `range`, from parts where `valid` says so.
    func bytes(in range: ByteRange, valid: Set<Int>, from source: any ByteSource) throws(StoreError) -> [UInt8] {
        var bytes: [UInt8] = []
        var offset = range.lowerBound
        while offset < range.upperBound {
            let number = Int(offset / partBytes)
            let end = min(range.upperBound, Int64(number + 1) * partBytes)
            let part = valid.contains(number) ? state.withLock { $0.parts[number] } : nil
            if let part {
                let start = Int(offset - Int64(number) * partBytes)
                bytes += part[start..<start + Int(end - offset)]
            } else {
                bytes += try source.bytes(in: offset..<end)
            }
            offset = end
        }
        return bytes
    }
}
