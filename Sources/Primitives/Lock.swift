import Glibc

/// A mutual exclusion lock that owns the state it guards.
///
/// Over `pthread_mutex_t`: `Synchronization.Mutex` is a priority-inheriting futex in Swift 6.3 and far slower under
/// contention. Not recursive. Never suspend, reply to the kernel or call blocking C while holding it.
/// Keep closures in a struct (see `Hook`): a closure kept directly as the state grows a thunk with each access.
public final class Lock<State>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private var state: State

    public init(_ initial: State) {
        state = initial
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// Runs `body` with exclusive access to the state.
    @inline(__always)
    public func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&state)
    }
}

/// A closure in a box of its own, so that it can be part of a lock's state.
public struct Hook<Argument, Result>: Sendable {
    public let call: @Sendable (Argument) -> Result
    public init(_ call: @escaping @Sendable (Argument) -> Result) { self.call = call }
}
