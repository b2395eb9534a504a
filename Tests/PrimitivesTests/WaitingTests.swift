import Primitives
import Testing

@Suite(.timeLimit(.minutes(1))) struct LockTests {
    @Test func nothingIsLostBetweenThreads() async {
        let lock = Lock(0)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask { for _ in 0..<20_000 { lock.withLock { $0 += 1 } } }
            }
        }
        #expect(lock.number == 160_000)
    }

    @Test func aThrowUnlocks() {
        let lock = Lock([1])
        #expect(throws: Errno(2)) { try lock.withLock { _ throws(Errno) in throw Errno(2) } }
        #expect(lock.withLock { $0.count } == 1)
    }

    @Test func aHookStaysAsItWasHoweverOftenItIsRead() {
        let tally = Tally(0)
        let lock = Lock(Hook<Int, Int> { $0 + 1 })
        for number in 0..<10_000 where lock.withLock({ $0 }).call(number) != number + 1 { tally.add() }
        #expect(tally.number == 0)
    }
}

@Suite(.timeLimit(.minutes(1))) struct GateTests {
    @Test func neverMoreInsideThanTheLimit() async {
        let gate = Gate(limit: 3)
        let inside = Lock((now: 0, most: 0, total: 0))
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<200 {
                group.addTask {
                    await gate.run {
                        inside.withLock {
                            $0.now += 1
                            $0.total += 1
                            $0.most = max($0.most, $0.now)
                        }
                        await Task.yield()
                        inside.withLock { $0.now -= 1 }
                    }
                }
            }
        }
        let counts = inside.withLock { $0 }
        #expect(counts.now == 0 && counts.total == 200)
        #expect((1...3).contains(counts.most))
    }

    @Test func waitersEnterInOrder() async {
        let gate = Gate(limit: 1)
        await gate.enter()
        let entered = Lock([Int]())
        let started = Tally(0)
        var tasks: [Task<Void, Never>] = []
        for number in 0..<5 {
            tasks.append(
                Task {
                    started.add()
                    await gate.enter()
                    entered.withLock { $0.append(number) }
                    gate.leave()
                })
            // The task is waiting, not just about to: it has had time to get there.
            #expect(await eventually { started.number == number + 1 })
            await SystemTime().sleep(milliseconds: 10)
        }
        #expect(entered.withLock { $0.isEmpty })
        gate.leave()
        for task in tasks { await task.value }
        #expect(entered.withLock { $0 } == [0, 1, 2, 3, 4])
    }

    @Test func aThrowLeaves() async {
        let gate = Gate(limit: 1)
        for _ in 0..<3 {
            await #expect(throws: Errno(5)) { try await gate.run { () async throws(Errno) in throw Errno(5) } }
        }
        await gate.enter()
        gate.leave()
    }

    @Test(arguments: [0, -1]) func aLimitBelowOneIsOne(limit: Int) async {
        #expect(await Gate(limit: limit).run { true })
    }
}

@Suite(.timeLimit(.minutes(1))) struct SignalTests {
    @Test func oneFireWakesAll() async {
        let signal = Signal()
        let flag = Lock(false)
        let woken = Tally(0)
        for _ in 0..<20 {
            Task {
                await signal.wait { flag.withLock { $0 } }
                woken.add()
            }
        }
        await SystemTime().sleep(milliseconds: 20)
        #expect(woken.number == 0)
        flag.withLock { $0 = true }
        signal.fire()
        #expect(await eventually { woken.number == 20 })
    }

    @Test func nothingToWaitFor() async {
        await Signal().wait { true }
    }

    @Test func aFireWithoutWaitersIsNotKept() async {
        let signal = Signal()
        let woken = Tally(0)
        signal.fire()
        Task {
            await signal.wait()
            woken.add()
        }
        await SystemTime().sleep(milliseconds: 30)
        #expect(woken.number == 0)
        #expect(
            await eventually {
                signal.fire()
                return woken.number == 1
            })
    }

    /// A wake-up that fell between the check and the wait would leave the consumer waiting for ever.
    @Test func noWakeUpIsMissed() async {
        let signal = Signal()
        let produced = Tally(0)
        let consumer = Task {
            for number in 1...5000 { await signal.wait { produced.number >= number } }
        }
        for _ in 0..<5000 {
            produced.add()
            signal.fire()
            await Task.yield()
        }
        await consumer.value
        #expect(produced.number == 5000)
    }
}
