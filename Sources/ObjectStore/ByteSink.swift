import Primitives

/// Where the bytes of an object go as they come.
public protocol ByteSink: Sendable {
    /// Takes the bytes from `offset` of the object on. Called on any thread, one call after the other; in order and
    /// without gaps, but from the start again when a request is repeated. Each piece but the last of a request is a
    /// multiple of 64 KiB long. What is thrown ends the request, and is what the reader gets.
    func take(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StoreError)
}

extension ObjectStore {
    /// All bytes at once, when they are there: for stores that have no better way.
    public func read(
        _ key: ByteString, range: ByteRange, ifMatch: ETag, into sink: any ByteSink
    ) async throws(StoreError) {
        let body = try await read(key, range: range, ifMatch: ifMatch)
        if let given = body.info.etag, given != ifMatch {
            throw StoreError(.conditionFailed, "read", key: key, detail: "another version came")
        }
        guard Int64(body.bytes.count) == range.length else {
            throw StoreError(
                .corrupt, "read", key: key, detail: "\(body.bytes.count) bytes came instead of \(range.length)")
        }
        try body.give(to: sink, at: range.lowerBound)
    }
}

extension ObjectBody {
    /// Gives the bytes, the first of which is the object's byte `offset`, in one piece.
    public func give(to sink: any ByteSink, at offset: Int64) throws(StoreError) {
        let outcome = bytes.withUnsafeBytes { bytes -> Result<Void, StoreError> in
            do throws(StoreError) {
                return .success(try sink.take(bytes, at: offset))
            } catch {
                return .failure(error)
            }
        }
        try outcome.get()
    }
}
