import ObjectStore
import Primitives

/// A store around a store in which things go wrong: from a script (`inject`), at random from a seed (`rates`), or all
/// at once (`unplug`, `pause`). It logs the calls. Thread-safe; the same sequence of calls gives the same faults.
public final class FaultyStore: ObjectStore {
    private struct Scripted {
        var fault: Fault
        var operation: StoreOperation?
        var key: ByteString?
        var skip: Int
        var times: Int
    }

    private struct Late {
        var callsLeft: Int
        var request: Hook<Void, Task<Void, Never>>
    }

    private struct State {
        var generator: SeededGenerator
        var rates: FaultRates
        var script: [Scripted] = []
        var late: [Late] = []
        var calls: [StoreCall] = []
        var isPaused = false
        var isUnplugged = false
        var hook: Hook<StoreCallMoment, StoreError?>?
    }

    private let inner: any ObjectStore
    private let time: any TimeSource
    private let state: Lock<State>
    private let resumed = Signal()

    public init(
        _ inner: any ObjectStore, seed: UInt64 = 0, rates: FaultRates = FaultRates(),
        time: any TimeSource = SystemTime()
    ) {
        self.inner = inner
        self.time = time
        state = Lock(State(generator: SeededGenerator(seed: seed), rates: rates))
    }

    public var name: String { inner.name }

    // MARK: Steering

    /// Makes `fault` strike the next `times` calls that fit, after letting `skip` of them pass.
    public func inject(
        _ fault: Fault, on operation: StoreOperation? = nil, key: ByteString? = nil, times: Int = 1, skip: Int = 0
    ) {
        let scripted = Scripted(fault: fault, operation: operation, key: key, skip: skip, times: times)
        state.withLock { $0.script.append(scripted) }
    }

    /// Changes the probabilities from the next call on.
    public func setRates(_ rates: FaultRates) { state.withLock { $0.rates = rates } }

    /// Removes scripted faults and probabilities; what is to run late still does.
    public func heal() {
        state.withLock { state in
            state.script = []
            state.rates = FaultRates()
        }
    }

    /// Calls wait until `resume`, or until they are cancelled.
    public func pause() { state.withLock { $0.isPaused = true } }

    public func resume() {
        state.withLock { $0.isPaused = false }
        resumed.fire()
    }

    /// Every call fails with `unavailable`, and isn't carried out, until `plug`.
    public func unplug() { state.withLock { $0.isUnplugged = true } }
    public func plug() { state.withLock { $0.isUnplugged = false } }

    /// The calls so far, in order of arrival.
    public var calls: [StoreCall] { state.withLock { $0.calls } }
    public func clearCalls() { state.withLock { $0.calls = [] } }

    /// Called before and after each call. An error that it returns ends the call there: before, nothing has happened;
    /// after, the call was carried out and its answer is lost.
    public func onCall(_ hook: Hook<StoreCallMoment, StoreError?>?) { state.withLock { $0.hook = hook } }

    /// Carries out now what was to run late.
    public func finishLate() async {
        let late = state.withLock { state -> [Late] in
            defer { state.late = [] }
            return state.late
        }
        for request in late { await request.request.call(()).value }
    }

    // MARK: The store

    public func capabilities() async throws(StoreError) -> StoreCapabilities {
        try await perform(StoreCall(.capabilities, nil)) { [inner] () async throws(StoreError) in
            try await inner.capabilities()
        }
    }

    public func list(
        prefix: ByteString, delimited: Bool, from: ListPosition?, limit: Int
    ) async throws(StoreError) -> ListPage {
        try await perform(StoreCall(.list, prefix)) { [inner] () async throws(StoreError) in
            try await inner.list(prefix: prefix, delimited: delimited, from: from, limit: limit)
        }
    }

    public func head(_ key: ByteString) async throws(StoreError) -> ObjectInfo {
        try await perform(StoreCall(.head, key)) { [inner] () async throws(StoreError) in try await inner.head(key) }
    }

    public func read(
        _ key: ByteString, range: ByteRange?, ifMatch: ETag?
    ) async throws(StoreError) -> ObjectBody {
        let call = StoreCall(.read, key)
        let fault = try await begin(call)
        var body = try await carryOut(call, fault) { [inner] () async throws(StoreError) in
            try await inner.read(key, range: range, ifMatch: ifMatch)
        }
        switch fault {
        case .corruptBody: throw StoreError(.corrupt, "read", key: key, detail: "injected")
        case .alterBody where !body.bytes.isEmpty: body.bytes[body.bytes.count / 2] ^= 0x20
        case .truncateBody: body.bytes.removeLast(body.bytes.count - body.bytes.count / 2)
        default: break
        }
        return body
    }

    /// Of a body that comes in pieces, half was given when it turns out to be cut.
    public func read(
        _ key: ByteString, range: ByteRange, ifMatch: ETag, into sink: any ByteSink
    ) async throws(StoreError) {
        var body = try await read(key, range: range, ifMatch: ifMatch)
        let isCut = Int64(body.bytes.count) < range.length
        if isCut { body.bytes.removeLast(body.bytes.count % (64 << 10)) }
        try body.give(to: sink, at: range.lowerBound)
        if isCut { throw StoreError(.corrupt, "read", key: key, detail: "cut") }
    }

    public func write(
        _ plan: UploadPlan, to key: ByteString, metadata: Metadata, contentType: String?, condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        let call = StoreCall(.write, key)
        let fault = try await begin(call)
        var sent = plan
        // What runs late has left the machine already.
        if case .runLate = fault { sent.source = try SentBytes(plan) }
        return try await carryOut(call, fault) { [inner, sent] () async throws(StoreError) in
            try await inner.write(sent, to: key, metadata: metadata, contentType: contentType, condition: condition)
        }
    }

    public func start(
        _ key: ByteString, metadata: Metadata, contentType: String?
    ) async throws(StoreError) -> (any StartedWrite)? {
        try await perform(StoreCall(.write, key)) { [inner] () async throws(StoreError) in
            try await inner.start(key, metadata: metadata, contentType: contentType)
        }
    }

    public func copy(
        _ source: ByteString, etag: ETag?, to destination: ByteString, metadata: Metadata?, contentType: String?,
        condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        try await perform(StoreCall(.copy, destination)) { [inner] () async throws(StoreError) in
            try await inner.copy(
                source, etag: etag, to: destination, metadata: metadata, contentType: contentType,
                condition: condition)
        }
    }

    public func delete(_ key: ByteString, condition: Condition) async throws(StoreError) {
        try await perform(StoreCall(.delete, key)) { [inner] () async throws(StoreError) in
            try await inner.delete(key, condition: condition)
        }
    }

    public func delete(_ keys: [ByteString]) async throws(StoreError) -> [StoreError?] {
        try await perform(StoreCall(.deleteMany, keys.first)) { [inner] () async throws(StoreError) in
            try await inner.delete(keys)
        }
    }

    public func removeLeftovers(olderThanMilliseconds ageMilliseconds: Int64) async throws(StoreError) -> Int {
        try await perform(StoreCall(.removeLeftovers, nil)) { [inner] () async throws(StoreError) in
            try await inner.removeLeftovers(olderThanMilliseconds: ageMilliseconds)
        }
    }

    // MARK: A call's course

    private func perform<Answer: Sendable>(
        _ call: StoreCall, _ request: @escaping @Sendable () async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer {
        let fault = try await begin(call)
        return try await carryOut(call, fault, request)
    }

    /// Logs the call, lets what is due and what is paused pass, and chooses the fault.
    private func begin(_ call: StoreCall) async throws(StoreError) -> Fault? {
        let hook = state.withLock { state -> Hook<StoreCallMoment, StoreError?>? in
            state.calls.append(call)
            return state.hook
        }
        if let error = hook?.call(.before(call)) { throw error }
        try await waitWhilePaused(call)
        if state.withLock({ $0.isUnplugged }) { throw error(.unavailable, call, "unplugged") }
        await runDue()
        return state.withLock { state in
            let number = Double.random(in: 0..<1, using: &state.generator)
            if let fault = Self.next(&state.script, call) { return fault }
            return state.rates.fault(number).flatMap { $0.isForReadsOnly && call.operation != .read ? nil : $0 }
        }
    }

    private func carryOut<Answer: Sendable>(
        _ call: StoreCall, _ fault: Fault?, _ request: @escaping @Sendable () async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer {
        switch fault {
        case .fail(let kind, let wait): throw error(kind, call, "injected", wait)
        case .stall(let milliseconds):
            await time.sleep(milliseconds: milliseconds)
            if Task.isCancelled { throw error(.cancelled, call, "stalled") }
        case .runLate(let calls):
            let late = Hook<Void, Task<Void, Never>> { Task { _ = try? await request() } }
            let milliseconds = state.withLock { state -> Int64? in
                state.late.append(Late(callsLeft: calls, request: late))
                return state.rates.lateMilliseconds.map { Int64.random(in: 0...$0, using: &state.generator) }
            }
            if let milliseconds {
                Task {
                    await time.sleep(milliseconds: milliseconds)
                    await finishLate()
                }
            }
            throw error(.timedOut, call, "injected, runs late")
        default: break
        }
        let result: Result<Answer, StoreError>
        do throws(StoreError) {
            result = .success(try await request())
        } catch {
            result = .failure(error)
        }
        if let error = state.withLock({ $0.hook })?.call(.after(call)) { throw error }
        if case .loseReply(let kind) = fault { throw error(kind, call, "injected, carried out") }
        return try result.get()
    }

    private func waitWhilePaused(_ call: StoreCall) async throws(StoreError) {
        while state.withLock({ $0.isPaused }) {
            if Task.isCancelled { throw error(.cancelled, call, "paused") }
            await withTaskCancellationHandler {
                await resumed.wait { Task.isCancelled || self.state.withLock { !$0.isPaused } }
            } onCancel: {
                resumed.fire()
            }
        }
    }

    private func runDue() async {
        let due = state.withLock { state -> [Late] in
            for index in state.late.indices { state.late[index].callsLeft -= 1 }
            let due = state.late.filter { $0.callsLeft <= 0 }
            state.late.removeAll { $0.callsLeft <= 0 }
            return due
        }
        for late in due { await late.request.call(()).value }
    }

    private static func next(_ script: inout [Scripted], _ call: StoreCall) -> Fault? {
        for index in script.indices {
            let entry = script[index]
            guard entry.operation == nil || entry.operation == call.operation else { continue }
            guard entry.key == nil || entry.key == call.key else { continue }
            if entry.skip > 0 {
                script[index].skip -= 1
                continue
            }
            script[index].times -= 1
            if script[index].times <= 0 { script.remove(at: index) }
            return entry.fault
        }
        return nil
    }

    private func error(
        _ kind: StoreError.Kind, _ call: StoreCall, _ detail: String, _ wait: Int64? = nil
    ) -> StoreError {
        StoreError(kind, call.operation.rawValue, key: call.key, detail: detail, retryAfterMilliseconds: wait)
    }
}

/// The new bytes of a plan, read when the request was sent.
private struct SentBytes: ByteSource {
    let parts: [(range: ByteRange, bytes: [UInt8])]

    init(_ plan: UploadPlan) throws(StoreError) {
        var parts: [(range: ByteRange, bytes: [UInt8])] = []
        for case .new(let range) in plan.segments { parts.append((range, try plan.source.bytes(in: range))) }
        self.parts = parts
    }

    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) {
        let end = offset + Int64(buffer.count)
        guard let part = parts.first(where: { $0.range.lowerBound <= offset && end <= $0.range.upperBound }) else {
            throw StoreError(.cancelled, "read source", detail: "not a new segment of the plan")
        }
        try MemorySource(part.bytes).read(at: offset - part.range.lowerBound, into: buffer)
    }
}
