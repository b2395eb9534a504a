import Glibc
import ObjectStore
import Primitives

public enum FetchError: Error, Sendable, CustomStringConvertible {
    case store(StoreError)
    case cache(CacheError)

    public var description: String {
        switch self {
        case .store(let error): error.description
        case .cache(let error): error.description
        }
    }
}

public struct FetchSettings: Sendable {
    /// Requests at once, over all files.
    public var concurrency = 16
    /// Bytes asked for and not yet on the disk, over all files.
    public var maximumFlightBytes: Int64 = 64 << 20
    /// Bounds of one request.
    public var minimumRequestBytes: Int64 = 128 << 10
    public var maximumRequestBytes: Int64 = 8 << 20
    /// How often a body that is not what the store says it has is asked for.
    public var attempts = 3
    /// How long a fetch waits for uploads to make room on the disk.
    public var roomMilliseconds: Int64 = 30_000

    public init() {}
}

/// Brings missing pages from the store. Identical and overlapping fetches of a file share their requests.
public final class Fetcher: Sendable {
    /// A request under way.
    private final class Flight: Sendable {
        let range: ByteRange
        private let landed = Lock(false)
        private let signal = Signal()

        init(_ range: ByteRange) { self.range = range }

        func finish() {
            landed.withLock { $0 = true }
            signal.fire()
        }

        func wait() async { await signal.wait { self.landed.withLock { $0 } } }
    }

    /// Rounds of looking what is still missing, when others' requests fail or pages are evicted meanwhile.
    private static let rounds = 16
    private static let roomPollMilliseconds: Int64 = 20
    /// Present bytes between missing ones that are rather asked for again than left out.
    private static let gapBytes: Int64 = 32 << 10

    private let cache: BlockCache
    private let store: any ObjectStore
    private let settings: FetchSettings
    private let time: any TimeSource
    private let gate: Gate
    private let budget: ByteBudget
    private let flights = Lock([ObjectIdentifier: [Flight]]())

    public init(
        cache: BlockCache, store: any ObjectStore, settings: FetchSettings = FetchSettings(),
        time: any TimeSource = SystemTime()
    ) {
        self.cache = cache
        self.store = store
        self.settings = settings
        self.time = time
        gate = Gate(limit: settings.concurrency)
        budget = ByteBudget(limit: settings.maximumFlightBytes)
    }

    /// Returns when nothing of `range` is missing (it may be evicted again: read, and fetch again if it is).
    public func fetch(_ file: CachedFile, _ range: ByteRange, origin: ObjectSource) async throws(FetchError) {
        for _ in 0..<Self.rounds {
            let missing = file.missing(in: range)
            if missing.isEmpty { return }
            let (own, others) = claim(requests(for: missing), of: file)
            if let error = await run(own, file, origin) { throw error }
            for flight in others { await flight.wait() }
        }
        throw .store(StoreError(.unavailable, "fetch", key: origin.key, detail: "evicted again before it was read"))
    }

    /// Joins runs with small gaps and cuts them to sizes that keep the connections busy.
    private func requests(for missing: [ByteRange]) -> [ByteRange] {
        var joined: [ByteRange] = []
        for run in missing {
            if let last = joined.last, run.lowerBound - last.upperBound <= Self.gapBytes {
                joined[joined.count - 1] = last.lowerBound..<run.upperBound
            } else {
                joined.append(run)
            }
        }
        let total = joined.reduce(0) { $0 + $1.length }
        let share = total / Int64(max(1, settings.concurrency)) / ReadAhead.blockBytes * ReadAhead.blockBytes
        let least = max(settings.minimumRequestBytes, min(1 << 20, settings.maximumRequestBytes))
        let step = min(settings.maximumRequestBytes, max(share, least)) / PageMap.pageBytes * PageMap.pageBytes
        var requests: [ByteRange] = []
        for run in joined {
            var lower = run.lowerBound
            while lower < run.upperBound {
                let upper = min(lower + max(step, PageMap.pageBytes), run.upperBound)
                requests.append(lower..<upper)
                lower = upper
            }
        }
        return requests
    }

    /// Those requests that nobody overlaps become flights of this fetch; the others are waited for.
    private func claim(_ requests: [ByteRange], of file: CachedFile) -> (own: [Flight], others: [Flight]) {
        flights.withLock { flights in
            let present = flights[ObjectIdentifier(file)] ?? []
            var own: [Flight] = []
            var others: [Flight] = []
            for request in requests {
                let overlapping = present.filter { $0.range.overlaps(request) }
                if overlapping.isEmpty { own.append(Flight(request)) }
                others += overlapping
            }
            if !own.isEmpty { flights[ObjectIdentifier(file)] = present + own }
            return (own, others)
        }
    }

    private func finish(_ flight: Flight, of file: CachedFile) {
        flights.withLock { flights in
            flights[ObjectIdentifier(file)]?.removeAll { $0 === flight }
            if flights[ObjectIdentifier(file)]?.isEmpty == true { flights[ObjectIdentifier(file)] = nil }
        }
        flight.finish()
    }

    /// The first error of the flights, all of which have ended.
    private func run(_ own: [Flight], _ file: CachedFile, _ origin: ObjectSource) async -> FetchError? {
        if own.count == 1 { return await fly(own[0], file, origin) }
        return await withTaskGroup(of: FetchError?.self) { group in
            for flight in own { group.addTask { await self.fly(flight, file, origin) } }
            var first: FetchError?
            for await error in group {
                guard let error, first == nil else { continue }
                first = error
                group.cancelAll()
            }
            return first
        }
    }

    private func fly(_ flight: Flight, _ file: CachedFile, _ origin: ObjectSource) async -> FetchError? {
        defer { finish(flight, of: file) }
        let bytes = flight.range.length
        do throws(FetchError) {
            // Before anything is held: the uploads that it may wait for fetch as well.
            try await makeRoom(bytes)
        } catch {
            return error
        }
        await budget.take(bytes)
        await gate.enter()
        defer {
            gate.leave()
            budget.give(bytes)
        }
        do throws(FetchError) {
            if Task.isCancelled { throw .store(StoreError(.cancelled, "fetch", key: origin.key)) }
            let body = try await body(flight.range, origin)
            try await land(body, at: flight.range.lowerBound, file)
            return nil
        } catch {
            return error
        }
    }

    private func land(_ body: [UInt8], at offset: Int64, _ file: CachedFile) async throws(FetchError) {
        do {
            try file.land(body, at: offset)
        } catch {
            guard error.isFull else { throw .cache(error) }
            _ = cache.evict(bytes: Int64(body.count))
            do throws(CacheError) {
                try file.land(body, at: offset)
            } catch {
                throw .cache(error)
            }
        }
    }

    private func makeRoom(_ bytes: Int64) async throws(FetchError) {
        let deadline = time.monotonic().adding(milliseconds: settings.roomMilliseconds)
        while true {
            switch cache.makeRoom(bytes: bytes, forWriting: false) {
            case .available: return
            case .evicting: break
            case .wait: await time.sleep(milliseconds: Self.roomPollMilliseconds)
            case .diskFull: throw .cache(CacheError(Errno(ENOSPC), "fetch into", cache.contentDirectory))
            }
            if time.monotonic() >= deadline || Task.isCancelled {
                throw .cache(CacheError(Errno(ENOSPC), "fetch into", cache.contentDirectory))
            }
        }
    }

    /// The bytes of `range` of the version `origin`; zeros beyond its end: a file that was cut and whose new version is
    /// in the bucket may have lost the cut with power loss.
    private func body(_ range: ByteRange, _ origin: ObjectSource) async throws(FetchError) -> [UInt8] {
        let inside = range.clamped(to: 0..<max(0, origin.sizeBytes))
        let beyond = [UInt8](repeating: 0, count: Int(range.length - inside.length))
        return inside.isEmpty ? beyond : try await exactBody(inside, origin) + beyond
    }

    /// The bytes of `range`, exactly, of the version `origin`.
    private func exactBody(_ range: ByteRange, _ origin: ObjectSource) async throws(FetchError) -> [UInt8] {
        var failure = StoreError(.corrupt, "read", key: origin.key)
        for _ in 0..<max(1, settings.attempts) {
            do throws(StoreError) {
                let body = try await store.read(origin.key, range: range, ifMatch: origin.etag)
                if let given = body.info.etag, given != origin.etag {
                    throw StoreError(.conditionFailed, "read", key: origin.key, detail: "another version came")
                }
                if Int64(body.bytes.count) == range.length { return body.bytes }
                failure = StoreError(
                    .corrupt, "read", key: origin.key,
                    detail: "\(body.bytes.count) bytes came instead of \(range.length)")
            } catch {
                guard error.kind == .corrupt else { throw .store(error) }
                failure = error
            }
        }
        throw .store(failure)
    }
}
