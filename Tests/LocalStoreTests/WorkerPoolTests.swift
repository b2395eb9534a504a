import Foundation
import Primitives
import Testing

@Suite("WorkerPool") struct WorkerPoolTests {
    @Test func runsEveryJobOnNotMoreThreadsThanAllowed() async {
        let pool = WorkerPool(threads: 3, maximumQueued: 5)
        let running = Lock((now: 0, most: 0))
        let sum = await withTaskGroup(of: Int.self) { group in
            for number in 1...100 {
                group.addTask {
                    await pool.run {
                        running.withLock { running in
                            running.now += 1
                            running.most = max(running.most, running.now)
                        }
                        usleep(200)
                        running.withLock { $0.now -= 1 }
                        return number
                    }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(sum == 5050)
        #expect((1...3).contains(running.withLock { $0.most }))
    }

    @Test func threadsEndWithThePool() async throws {
        func threads() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count }
        let before = try threads()
        for _ in 0..<20 {
            let pool = WorkerPool(threads: 4)
            #expect(await pool.run { 1 } == 1)
        }
        var rounds = 0
        while try threads() > before + 10, rounds < 200 {
            try await Task.sleep(nanoseconds: 10_000_000)
            rounds += 1
        }
        #expect(rounds < 200)
    }
}
