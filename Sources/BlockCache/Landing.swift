import ObjectStore
import Primitives

/// Puts what a flight brings into the file, and tells who waits for it.
final class Landing: ByteSink {
    private let flight: FetchFlight
    private let file: CachedFile
    private let cache: BlockCache
    private let failure = Lock(CacheError?.none)

    init(_ flight: FetchFlight, _ file: CachedFile, _ cache: BlockCache) {
        self.flight = flight
        self.file = file
        self.cache = cache
    }

    /// Why the file took no more.
    var cacheError: CacheError? { failure.withLock { $0 } }

    func take(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StoreError) {
        let end = offset + Int64(bytes.count)
        // A file that was cut and whose new version is in the bucket may have lost the cut with power loss: what lies
        // beyond the version's end are zeros.
        let isLast = end == flight.origin.sizeBytes && flight.range.upperBound > end
        do throws(CacheError) {
            if isLast {
                let zeros = [UInt8](repeating: 0, count: Int(flight.range.upperBound - end))
                try land(Array(bytes) + zeros, at: offset)
            } else {
                try land(bytes, at: offset)
            }
        } catch {
            failure.withLock { $0 = error }
            throw StoreError(.refused, "store", key: flight.origin.key, detail: error.description)
        }
        flight.advance(to: isLast ? flight.range.upperBound : end)
    }

    /// For a range that lies beyond the version's end as a whole.
    func takeNothing() throws(StoreError) {
        let zeros = [UInt8](repeating: 0, count: Int(flight.range.length))
        do throws(CacheError) { try land(zeros, at: flight.range.lowerBound) } catch {
            failure.withLock { $0 = error }
            throw StoreError(.refused, "store", key: flight.origin.key, detail: error.description)
        }
    }

    private func land(_ bytes: [UInt8], at offset: Int64) throws(CacheError) {
        let outcome = bytes.withUnsafeBytes { bytes -> Result<Void, CacheError> in
            do throws(CacheError) { return .success(try land(bytes, at: offset)) } catch { return .failure(error) }
        }
        try outcome.get()
    }

    private func land(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(CacheError) {
        do throws(CacheError) {
            try file.land(bytes, at: offset)
        } catch {
            guard error.isFull else { throw error }
            _ = cache.evict(bytes: Int64(bytes.count))
            try file.land(bytes, at: offset)
        }
    }
}
