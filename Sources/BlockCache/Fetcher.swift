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

    var isCancelled: Bool { if case .store(let error) = self { error.kind == .cancelled } else { false } }
}

public struct FetchSettings: Sendable {
    /// Requests at once, over all files, that somebody waits for; as many again are made ahead of readers.
    public var concurrency = 16
    /// Bytes of whole objects that are in memory at once, to be verified before they are stored.
    public var maximumWholeBytes: Int64 = 32 << 20
    /// Bounds of one request.
    public var minimumRequestBytes: Int64 = 128 << 10
    public var maximumRequestBytes: Int64 = 8 << 20
    /// How often a body that is not what the store says it has is asked for.
    public var attempts = 3
    /// How long a fetch waits for uploads to make room on the disk.
    public var roomMilliseconds: Int64 = 30_000

    public init() {}
}

/// Brings missing pages from the store, which are there for readers as they come. Overlapping fetches of a file share
/// their requests; a request that nobody waits for any more is cancelled.
public final class Fetcher: Sendable {
    private struct Boarding {
        var flight: FetchFlight
        var users: Int
    }

    /// Rounds of looking what is still missing, when others' requests fail or pages are evicted meanwhile.
    private static let rounds = 16
    private static let roomPollMilliseconds: Int64 = 20

    private let cache: BlockCache
    private let store: any ObjectStore
    private let settings: FetchSettings
    private let time: any TimeSource
    private let gate: Gate
    private let aheadGate: Gate
    private let budget: ByteBudget
    private let flights = Lock([ObjectIdentifier: [Boarding]]())

    public init(
        cache: BlockCache, store: any ObjectStore, settings: FetchSettings = FetchSettings(),
        time: any TimeSource = SystemTime()
    ) {
        self.cache = cache
        self.store = store
        self.settings = settings
        self.time = time
        gate = Gate(limit: settings.concurrency)
        aheadGate = Gate(limit: settings.concurrency)
        budget = ByteBudget(limit: settings.maximumWholeBytes)
    }

    /// Returns when nothing of `range` is missing (it may be evicted again: read, and fetch again if it is). Ends soon
    /// when the task is cancelled.
    public func fetch(_ file: CachedFile, _ range: ByteRange, origin: ObjectSource) async throws(FetchError) {
        for _ in 0..<Self.rounds {
            let missing = file.missing(in: range)
            if missing.isEmpty { return }
            if Task.isCancelled { throw .store(StoreError(.cancelled, "fetch", key: origin.key)) }
            let requests = RequestPlan(missing, settings, inParallel: true).requests
            let boarded = board(requests, of: file, origin, isAhead: false)
            for flight in boarded { await flight.wait(until: range.upperBound) }
            let failure = boarded.lazy.filter { $0.origin == origin }.compactMap { $0.failure }
                .first { !$0.isCancelled }
            leave(boarded, of: file)
            if let failure, !file.missing(in: range).isEmpty { throw failure }
        }
        throw .store(StoreError(.unavailable, "fetch", key: origin.key, detail: "evicted again before it was read"))
    }

    /// Fetches what is missing of a file that may be read soon, if the disk has room. Nobody hears of failures: the reader
    /// asks again.
    public func fetchAhead(_ file: CachedFile, origin: ObjectSource) async {
        let boarded = begin(file, 0..<origin.sizeBytes, origin: origin, isAhead: true)
        for flight in boarded { await flight.wait(until: origin.sizeBytes) }
        leave(boarded, of: file)
    }

    /// Puts a whole object that was read by other means into its file, if the disk has room.
    public func keep(_ bytes: [UInt8], in file: CachedFile) {
        guard case .available = cache.makeRoom(bytes: Int64(bytes.count), forWriting: false) else { return }
        do throws(CacheError) { try file.land(bytes, at: 0) } catch {
            cache.log.debug("cache", "a file that was read ahead is not kept: \(error)")
        }
    }

    /// Begins to fetch what is missing of `range`. Pair with `leave`.
    func begin(_ file: CachedFile, _ range: ByteRange, origin: ObjectSource, isAhead: Bool) -> [FetchFlight] {
        let missing = file.missing(in: range)
        if missing.isEmpty { return [] }
        return board(RequestPlan(missing, settings, inParallel: false).requests, of: file, origin, isAhead: isAhead)
    }

    // MARK: flights

    /// The flights that bring `requests`: those under way that overlap them, and new ones.
    private func board(
        _ requests: [ByteRange], of file: CachedFile, _ origin: ObjectSource, isAhead: Bool
    ) -> [FetchFlight] {
        var begun: [FetchFlight] = []
        let boarded = flights.withLock { flights -> [FetchFlight] in
            var present = flights[ObjectIdentifier(file)] ?? []
            var boarded: [FetchFlight] = []
            for request in requests {
                let overlapping = present.indices.filter { present[$0].flight.range.overlaps(request) }
                for index in overlapping where !boarded.contains(where: { $0 === present[index].flight }) {
                    present[index].users += 1
                    boarded.append(present[index].flight)
                }
                if !overlapping.isEmpty { continue }
                let flight = FetchFlight(request, origin, isAhead: isAhead)
                present.append(Boarding(flight: flight, users: 1))
                boarded.append(flight)
                begun.append(flight)
            }
            flights[ObjectIdentifier(file)] = present
            return boarded
        }
        for flight in begun {
            flight.start {
                let failure = await self.fly(flight, file)
                self.remove(flight, of: file)
                flight.end(failure)
            }
        }
        return boarded
    }

    /// Who began them doesn't want them any more.
    func leave(_ boarded: [FetchFlight], of file: CachedFile) {
        if boarded.isEmpty { return }
        let abandoned = flights.withLock { flights -> [FetchFlight] in
            guard var present = flights[ObjectIdentifier(file)] else { return [] }
            for index in present.indices where boarded.contains(where: { $0 === present[index].flight }) {
                present[index].users -= 1
            }
            let abandoned = present.filter { $0.users == 0 }.map(\.flight)
            present.removeAll { $0.users == 0 }
            flights[ObjectIdentifier(file)] = present.isEmpty ? nil : present
            return abandoned
        }
        for flight in abandoned { flight.cancel() }
    }

    private func remove(_ flight: FetchFlight, of file: CachedFile) {
        flights.withLock { flights in
            flights[ObjectIdentifier(file)]?.removeAll { $0.flight === flight }
            if flights[ObjectIdentifier(file)]?.isEmpty == true { flights[ObjectIdentifier(file)] = nil }
        }
    }

    // MARK: one request

    private func fly(_ flight: FetchFlight, _ file: CachedFile) async -> FetchError? {
        do throws(FetchError) {
            // Before anything is held: the uploads that it may wait for fetch as well.
            try await makeRoom(for: flight)
        } catch {
            return error
        }
        let isWhole = flight.range.lowerBound == 0 && flight.range.upperBound >= flight.origin.sizeBytes
        let heldBytes = isWhole ? flight.range.length : 0
        await budget.take(heldBytes)
        defer { budget.give(heldBytes) }
        return await (flight.isAhead ? aheadGate : gate).run {
            do throws(FetchError) {
                if Task.isCancelled { throw .store(StoreError(.cancelled, "fetch", key: flight.origin.key)) }
                try await bring(flight, Landing(flight, file, cache))
                return nil
            } catch {
                return error
            }
        }
    }

    private func makeRoom(for flight: FetchFlight) async throws(FetchError) {
        let deadline = time.monotonic().adding(milliseconds: settings.roomMilliseconds)
        while true {
            switch cache.makeRoom(bytes: flight.range.length, forWriting: false) {
            case .available: return
            case .evicting: break
            case .wait:
                if flight.isAhead { throw .store(StoreError(.cancelled, "fetch", detail: "no room to read ahead")) }
                await time.sleep(milliseconds: Self.roomPollMilliseconds)
            case .diskFull: throw .cache(CacheError(Errno(ENOSPC), "fetch into", cache.contentDirectory))
            }
            if Task.isCancelled { throw .store(StoreError(.cancelled, "fetch", key: flight.origin.key)) }
            if time.monotonic() >= deadline {
                throw .cache(CacheError(Errno(ENOSPC), "fetch into", cache.contentDirectory))
            }
        }
    }

    private func bring(_ flight: FetchFlight, _ landing: Landing) async throws(FetchError) {
        let origin = flight.origin
        let inside = flight.range.clamped(to: 0..<max(0, origin.sizeBytes))
        var failure = StoreError(.corrupt, "read", key: origin.key)
        for _ in 0..<max(1, settings.attempts) {
            do throws(StoreError) {
                guard !inside.isEmpty else { return try landing.takeNothing() }
                return try await store.read(origin.key, range: inside, ifMatch: origin.etag, into: landing)
            } catch {
                if let cause = landing.cacheError { throw .cache(cause) }
                guard error.kind == .corrupt else { throw .store(error) }
                failure = error
            }
        }
        throw .store(failure)
    }
}
