import Glibc

/// Threads of its own for calls that block: Swift's cooperative threads are few (one per core) and must not wait for a
/// disk. Threads are started as they are needed and end with the pool.
public final class WorkerPool: Sendable {
    private let jobs: JobQueue
    private let room: Gate

    /// At most `threads` jobs run and `maximumQueued` are queued; further callers wait.
    public init(threads: Int, maximumQueued: Int = 1024) {
        jobs = JobQueue(threadLimit: max(1, threads))
        room = Gate(limit: maximumQueued)
    }

    deinit { jobs.stop() }

    /// Runs `body` on one of the threads. Cancellation doesn't end it.
    public func run<Answer: Sendable>(_ body: @escaping @Sendable () -> Answer) async -> Answer {
        await room.run {
            await withCheckedContinuation { continuation in
                jobs.add(Hook { continuation.resume(returning: body()) })
            }
        }
    }
}

/// Jobs and the threads that take them; the threads keep it alive, not the pool.
private final class JobQueue: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let added = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let threadLimit: Int
    private var waiting: [Hook<Void, Void>] = []
    private var next = 0
    private var threads = 0
    private var idle = 0
    private var isStopped = false

    init(threadLimit: Int) {
        self.threadLimit = threadLimit
        mutex.initialize(to: pthread_mutex_t())
        added.initialize(to: pthread_cond_t())
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(added, nil)
    }

    deinit {
        pthread_cond_destroy(added)
        pthread_mutex_destroy(mutex)
        added.deallocate()
        mutex.deallocate()
    }

    func add(_ job: Hook<Void, Void>) {
        pthread_mutex_lock(mutex)
        waiting.append(job)
        let needsThread = idle < waiting.count - next && threads < threadLimit
        if needsThread { threads += 1 }
        pthread_cond_signal(added)
        pthread_mutex_unlock(mutex)
        if needsThread { startThread() }
    }

    func stop() {
        pthread_mutex_lock(mutex)
        isStopped = true
        pthread_cond_broadcast(added)
        pthread_mutex_unlock(mutex)
    }

    private func startThread() {
        var thread = pthread_t()
        let queue = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<JobQueue>.fromOpaque(argument).takeRetainedValue().work() }
                return nil
            }, queue.toOpaque())
        if code == 0 {
            pthread_detach(thread)
            return
        }
        // The job stays queued for the other threads; without any, it is done here, since nobody else would.
        queue.release()
        pthread_mutex_lock(mutex)
        threads -= 1
        let job = threads == 0 ? take() : nil
        pthread_mutex_unlock(mutex)
        job?.call(())
    }

    private func work() {
        pthread_mutex_lock(mutex)
        while true {
            if let job = take() {
                pthread_mutex_unlock(mutex)
                job.call(())
                pthread_mutex_lock(mutex)
            } else if isStopped {
                break
            } else {
                idle += 1
                pthread_cond_wait(added, mutex)
                idle -= 1
            }
        }
        pthread_mutex_unlock(mutex)
    }

    private func take() -> Hook<Void, Void>? {
        guard next < waiting.count else { return nil }
        let job = waiting[next]
        next += 1
        if next == waiting.count {
            waiting.removeAll(keepingCapacity: true)
            next = 0
        }
        return job
    }
}
