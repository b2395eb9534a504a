import Glibc

/// The thread that `main` runs on.
enum MainThread {
    /// Where the answer is kept until the semaphore says that it is there.
    private final class Box<Value>: @unchecked Sendable {
        let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
        var value: Value?

        init() { sem_init(semaphore, 0, 0) }
        deinit { semaphore.deallocate() }
    }

    /// Runs a task and blocks until it ends.
    static func wait<Value: Sendable>(for body: @escaping @Sendable () async -> Value) -> Value {
        let box = Box<Value>()
        Task.detached {
            box.value = await body()
            sem_post(box.semaphore)
        }
        while sem_wait(box.semaphore) != 0 {}
        return box.value!
    }
}
