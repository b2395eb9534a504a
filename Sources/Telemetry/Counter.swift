import Primitives

/// A number that grows. Safe from any thread.
public final class Counter: Sendable {
    private let total = Lock(Int64(0))

    public init() {}

    public func add(_ amount: Int64 = 1) { total.withLock { $0 += amount } }
    public var value: Int64 { total.withLock { $0 } }
}
