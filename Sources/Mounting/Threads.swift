import Glibc
import Primitives

/// Threads for calls that may block for long, which must not hold up tasks.
enum Threads {
    private final class Start: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Runs `body` on a thread of its own. False if there can be none.
    @discardableResult
    static func detach(_ body: @escaping @Sendable () -> Void) -> Bool {
        let start = Unmanaged.passRetained(Start(body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue().body()
                return nil
            }, start.toOpaque())
        guard code == 0 else {
            start.release()
            return false
        }
        pthread_detach(thread)
        return true
    }

    private static let pollMilliseconds: Int64 = 5

    /// What a blocking call returns, or nil if it takes longer; its thread then ends whenever the call does.
    static func value<Value: Sendable>(
        withinMilliseconds limit: Int64, _ body: @escaping @Sendable () -> Value
    ) async -> Value? {
        let box = Lock(Value?.none)
        detach {
            let value = body()
            box.withLock { $0 = value }
        }
        let time = SystemTime()
        let begin = time.monotonic()
        while time.monotonic().milliseconds(since: begin) < limit {
            if let value = box.withLock({ $0 }) { return value }
            await time.sleep(milliseconds: pollMilliseconds)
        }
        return box.withLock { $0 }
    }
}
