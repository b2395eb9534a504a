import Layers
import ObjectStore
import Primitives

/// A store whose requests take as long, and end, as a script says, one entry for each in order of arrival; all after
/// those take 20 ms.
final class PacedStore: Interceptor {
    struct Pace {
        var milliseconds: Int64 = 20
        var error: StoreError.Kind?
        /// Before the second piece of a body, and each after it.
        var pauseMilliseconds: Int64 = 0
        /// Ends when it is cancelled.
        var isCancellable = true
    }

    private struct State {
        var script: [Pace] = []
        var begun = 0
        var cancelled: [Int] = []
        var refused: [Int] = []
    }

    static let pieceBytes = 64 << 10

    let store: any ObjectStore
    private let time: any TimeSource
    private let state = Lock(State())

    init(_ store: any ObjectStore, time: any TimeSource) {
        self.store = store
        self.time = time
    }

    /// For the next requests.
    func script(_ paces: [Pace]) { state.withLock { $0.script = paces } }

    /// How many requests came.
    var requests: Int { state.withLock { $0.begun } }
    /// Those that were cancelled; those whose bytes the sink refused. The first request is 1.
    var cancelled: [Int] { state.withLock { $0.cancelled } }
    var refused: [Int] { state.withLock { $0.refused } }

    func intercept<Answer: Sendable>(
        _ call: LayerCall, _ perform: @Sendable () async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer {
        try await begin().answer(self, perform)
    }

    func read(
        _ key: ByteString, range: ByteRange, ifMatch: ETag, into sink: any ByteSink
    ) async throws(StoreError) {
        let request = begin()
        // Before it may be cancelled.
        let body = try await store.read(key, range: range, ifMatch: ifMatch)
        try await request.answer(self) { () async throws(StoreError) in }
        for start in stride(from: 0, to: body.bytes.count, by: Self.pieceBytes) {
            if start > 0 { try await request.wait(request.pace.pauseMilliseconds, self) }
            var piece = body
            piece.bytes = Array(body.bytes[start..<min(start + Self.pieceBytes, body.bytes.count)])
            do throws(StoreError) { try piece.give(to: sink, at: range.lowerBound + Int64(start)) } catch {
                state.withLock { $0.refused.append(request.number) }
                throw error
            }
        }
    }

    private struct Request {
        var number: Int
        var pace: Pace

        func wait(_ milliseconds: Int64, _ paced: PacedStore) async throws(StoreError) {
            if milliseconds > 0 { await paced.time.sleep(milliseconds: milliseconds) }
            guard Task.isCancelled, pace.isCancellable else { return }
            paced.state.withLock { $0.cancelled.append(number) }
            throw StoreError(.cancelled, "paced")
        }

        func answer<Answer>(
            _ paced: PacedStore, _ perform: () async throws(StoreError) -> Answer
        ) async throws(StoreError) -> Answer {
            try await wait(pace.milliseconds, paced)
            if let kind = pace.error { throw StoreError(kind, "paced") }
            return try await perform()
        }
    }

    private func begin() -> Request {
        state.withLock { state in
            state.begun += 1
            return Request(number: state.begun, pace: state.script.isEmpty ? Pace() : state.script.removeFirst())
        }
    }
}
