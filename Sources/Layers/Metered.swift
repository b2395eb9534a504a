import ObjectStore
import Primitives

/// What has gone through a `Metered` store since the start.
public struct StoreMetrics: Sendable, Equatable {
    public struct Calls: Sendable, Equatable {
        /// Calls that ended, well or not.
        public var ended = 0
        /// Of those, the ones that failed for another reason than that the object, the version or the ability isn't there.
        public var failed = 0
        /// How long the ended ones took together.
        public var microseconds: Int64 = 0
        public var underWay = 0

        public init() {}
    }

    public var calls: [LayerCall.Operation: Calls] = [:]
    /// Bytes of objects that came, and those that were sent and accepted.
    public var bytesRead: Int64 = 0
    public var bytesWritten: Int64 = 0
    /// How many calls the store refused to slow us down.
    public var throttled = 0
    /// How many requests `Hedged` has sent a second time, and of how many of those the second answer was taken.
    public var hedged = 0
    public var hedgesWon = 0
    /// The newest failure and when it was.
    public var lastFailure: String?
    public var lastFailureTime: Timestamp?

    public init() {}

    /// All operations together.
    public var total: Calls {
        calls.values.reduce(into: Calls()) { sum, calls in
            sum.ended += calls.ended
            sum.failed += calls.failed
            sum.microseconds += calls.microseconds
            sum.underWay += calls.underWay
        }
    }
}

/// Where `Metered` and `Hedged` stores count; several may share one. Thread-safe.
public final class StoreMeter: Sendable {
    private let state = Lock(StoreMetrics())

    public init() {}

    /// The numbers as they are now.
    public var metrics: StoreMetrics { state.withLock { $0 } }

    func change(_ body: (inout StoreMetrics) -> Void) { state.withLock(body) }
}

/// A store that counts what goes through it.
public final class Metered: Interceptor {
    public let store: any ObjectStore
    private let meter: StoreMeter
    private let time: any TimeSource

    public init(_ store: any ObjectStore, meter: StoreMeter, time: any TimeSource = SystemTime()) {
        self.store = store
        self.meter = meter
        self.time = time
    }

    public func intercept<Answer: Sendable>(
        _ call: LayerCall, _ perform: @Sendable () async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer {
        let start = time.monotonic()
        meter.change { $0.calls[call.operation, default: .init()].underWay += 1 }
        do throws(StoreError) {
            let answer = try await perform()
            end(call, start, nil)
            return answer
        } catch {
            end(call, start, error)
            throw error
        }
    }

    public func read(_ key: ByteString, range: ByteRange?, ifMatch: ETag?) async throws(StoreError) -> ObjectBody {
        let call = LayerCall(operation: .read, key: key)
        let body = try await intercept(call) { [store] () async throws(StoreError) in
            try await store.read(key, range: range, ifMatch: ifMatch)
        }
        meter.change { $0.bytesRead += Int64(body.bytes.count) }
        return body
    }

    public func read(
        _ key: ByteString, range: ByteRange, ifMatch: ETag, into sink: any ByteSink
    ) async throws(StoreError) {
        try await intercept(LayerCall(operation: .read, key: key)) { [store] () async throws(StoreError) in
            try await store.read(key, range: range, ifMatch: ifMatch, into: sink)
        }
        meter.change { $0.bytesRead += range.length }
    }

    public func write(
        _ plan: UploadPlan, to key: ByteString, metadata: Metadata, contentType: String?, condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        let call = LayerCall(operation: .write, key: key)
        let info = try await intercept(call) { [store] () async throws(StoreError) in
            try await store.write(plan, to: key, metadata: metadata, contentType: contentType, condition: condition)
        }
        meter.change { $0.bytesWritten += plan.newBytes }
        return info
    }

    private func end(_ call: LayerCall, _ start: Timestamp, _ error: StoreError?) {
        let microseconds = (time.monotonic().nanoseconds - start.nanoseconds) / 1000
        let failure = error.flatMap { Self.isAnswer($0) ? nil : ("\($0)", time.now()) }
        meter.change { metrics in
            metrics.calls[call.operation, default: .init()].underWay -= 1
            metrics.calls[call.operation, default: .init()].ended += 1
            metrics.calls[call.operation, default: .init()].microseconds += microseconds
            guard let failure else { return }
            metrics.calls[call.operation, default: .init()].failed += 1
            if error?.kind == .throttled { metrics.throttled += 1 }
            (metrics.lastFailure, metrics.lastFailureTime) = failure
        }
    }

    /// Whether the error only says what is there or what the store can do, or that nobody wants to know any more.
    private static func isAnswer(_ error: StoreError) -> Bool {
        [.notFound, .conditionFailed, .unsupported, .cancelled].contains(error.kind)
    }
}
