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
        if end == flight.origin.sizeBytes, flight.range.upperBound > end {
            let padded = Array(bytes) + zeros(from: end)
            try store(padded.count) { () throws(CacheError) in try file.land(padded, at: offset) }
            return flight.advance(to: flight.range.upperBound)
        }
        try store(bytes.count) { () throws(CacheError) in try file.land(bytes, at: offset) }
        flight.advance(to: end)
    }

    /// For a range that lies beyond the version's end as a whole.
    func takeNothing() throws(StoreError) {
        let zeros = zeros(from: flight.range.lowerBound)
        try store(zeros.count) { () throws(CacheError) in try file.land(zeros, at: flight.range.lowerBound) }
    }

    private func zeros(from offset: Int64) -> [UInt8] {
        [UInt8](repeating: 0, count: Int(flight.range.upperBound - offset))
    }

    /// Makes room once if the disk is full.
    private func store(_ count: Int, _ land: () throws(CacheError) -> Void) throws(StoreError) {
        do throws(CacheError) {
            do throws(CacheError) { try land() } catch {
                guard error.isFull else { throw error }
                _ = cache.evict(bytes: Int64(count))
                try land()
            }
        } catch {
            failure.withLock { $0 = error }
            throw StoreError(.refused, "store", key: flight.origin.key, detail: error.description)
        }
    }
}
