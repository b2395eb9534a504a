import Glibc

/// sem_overview(7), for threads.
final class Semaphore: @unchecked Sendable {
    // Unchecked: sem_t is made to be shared.
    private let semaphore: UnsafeMutablePointer<sem_t>

    init() {
        semaphore = .allocate(capacity: 1)
        semaphore.initialize(to: sem_t())
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func signal() { sem_post(semaphore) }
    func wait() { while sem_wait(semaphore) != 0 {} }

    /// False if there was no signal in time.
    @discardableResult
    func wait(milliseconds: Int64) -> Bool {
        var end = timespec()
        clock_gettime(CLOCK_REALTIME, &end)
        end.tv_sec += Int(milliseconds / 1000)
        while sem_timedwait(semaphore, &end) != 0 { if errno != EINTR { return false } }
        return true
    }
}
