import ObjectStore
import Primitives

/// Time that stands still but for what is slept, which takes no time.
final class ManualTime: TimeSource {
    private struct State {
        var now = Timestamp(seconds: 1_000)
        var sleeps: [Int64] = []
    }

    private let state = Lock(State())

    var sleeps: [Int64] { state.withLock { $0.sleeps } }

    func now() -> Timestamp { state.withLock { $0.now } }
    func monotonic() -> Timestamp { now() }
    func sleep(milliseconds: Int64) async {
        state.withLock { state in
            state.now = state.now.adding(milliseconds: milliseconds)
            state.sleeps.append(milliseconds)
        }
    }
}

extension ObjectStore {
    @discardableResult
    func put(
        _ key: ByteString, _ text: String, _ condition: Condition = .none
    ) async throws(StoreError) -> ObjectInfo {
        try await write(
            UploadPlan(bytes: Array(text.utf8)), to: key, metadata: [:], contentType: nil, condition: condition)
    }

    func text(_ key: ByteString) async throws(StoreError) -> String {
        String(decoding: try await read(key, range: nil, ifMatch: nil).bytes, as: UTF8.self)
    }
}

/// What `body` fails with; nil if it doesn't.
func failure(_ body: () async throws(StoreError) -> Void) async -> StoreError? {
    do throws(StoreError) {
        try await body()
        return nil
    } catch {
        return error
    }
}

/// Waits until `condition` holds, 10 s at most; whether it does.
func eventually(_ condition: () -> Bool) async -> Bool {
    for _ in 0..<5000 {
        if condition() { return true }
        await SystemTime().sleep(milliseconds: 2)
    }
    return condition()
}
