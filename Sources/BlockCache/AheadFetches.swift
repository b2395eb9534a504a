import ObjectStore
import Primitives

/// What is being fetched ahead of the reader of one handle. Thread-safe.
public final class AheadFetches: Sendable {
    private let fetcher: Fetcher
    private let file: CachedFile
    private let flights = Lock([FetchFlight]())

    public init(_ fetcher: Fetcher, _ file: CachedFile) {
        self.fetcher = fetcher
        self.file = file
    }

    /// Begins to fetch what is missing of each range, by a request of its own; who fetches it now shares the request.
    /// Nobody hears of failures: the reader who comes there asks again.
    /// - Parameter isWaiting: the first range is waited for already.
    public func start(_ ranges: [ByteRange], origin: ObjectSource, isWaiting: Bool) {
        for (index, range) in ranges.enumerated() {
            let boarded = fetcher.begin(file, range, origin: origin, isAhead: index > 0 || !isWaiting)
            flights.withLock { flights in
                flights.removeAll { $0.hasEnded }
                flights += boarded
            }
        }
    }

    /// The reader went elsewhere, or closed: what nobody else waits for is cancelled.
    public func cancel() {
        let flights = flights.withLock { flights in
            defer { flights = [] }
            return flights
        }
        fetcher.leave(flights, of: file)
    }

    deinit { cancel() }
}
