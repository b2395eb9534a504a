import HTTPTransport
import ObjectStore
import Primitives

/// Gives the body of an answer to a sink as it comes, if the answer's headers say that it is what was asked for and
/// there is nothing to verify at its end. One request at a time uses it.
final class RangeReceiver: HTTPReceiving {
    private struct State {
        var hasBegun = false
        var offset: Int64
        var sinkError: StoreError?
    }

    private let key: ByteString
    private let range: ByteRange
    private let etag: ETag
    private let sink: any ByteSink
    private let state: Lock<State>

    init(_ key: ByteString, _ range: ByteRange, _ etag: ETag, _ sink: any ByteSink) {
        self.key = key
        self.range = range
        self.etag = etag
        self.sink = sink
        state = Lock(State(offset: range.lowerBound))
    }

    /// Whether the answer's body went to the sink.
    var hasBegun: Bool { state.withLock { $0.hasBegun } }
    /// Why the sink gave up.
    var sinkError: StoreError? { state.withLock { $0.sinkError } }

    func accepts(status: Int, headers: HTTPHeaders) -> Bool {
        func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
        guard status == 206, let (part, size) = header("content-range").flatMap(ContentRange.parse), part == range,
            header("content-length") == String(range.length), ETag(s3: header("etag")) == etag
        else { return false }
        // The checksum is of the whole object.
        if part == 0..<size, header("x-amz-checksum-crc32c") != nil { return false }
        state.withLock { state in
            state.hasBegun = true
            state.offset = range.lowerBound
        }
        return true
    }

    func receive(_ piece: UnsafeRawBufferPointer) -> Bool {
        let offset = state.withLock { state -> Int64 in
            defer { state.offset += Int64(piece.count) }
            return state.offset
        }
        do throws(StoreError) {
            guard offset + Int64(piece.count) <= range.upperBound else {
                throw StoreError(.corrupt, "read", key: key, detail: "more than \(range.length) bytes came")
            }
            try sink.take(piece, at: offset)
            return true
        } catch {
            state.withLock { $0.sinkError = error }
            return false
        }
    }

    func requireAll() throws(StoreError) {
        let offset = state.withLock { $0.offset }
        guard offset == range.upperBound else {
            throw StoreError(
                .corrupt, "read", key: key,
                detail: "\(offset - range.lowerBound) bytes came instead of \(range.length)")
        }
    }
}

/// `bytes 0-9/100` (RFC 9110 section 14.4).
enum ContentRange {
    static func parse(_ text: String) -> (range: ByteRange, sizeBytes: Int64)? {
        let fields = text.split { " -/".contains($0) }
        guard fields.count == 4, fields[0] == "bytes", let first = Int64(fields[1]), let last = Int64(fields[2]),
            let size = Int64(fields[3]), first <= last
        else { return nil }
        return (first..<last + 1, size)
    }
}
