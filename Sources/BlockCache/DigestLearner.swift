import Primitives

/// Learns in the background what a later upload is compared with: one file at a time.
final class DigestLearner: Sendable {
    private struct State {
        var isOn = false
        var waiting: [UInt64] = []
        var isRunning = false
    }

    /// Files that come while so many wait are left out: they go through the daemon when they are written the next time.
    private static let maximumWaiting = 64
    private let state = Lock(State())

    /// Until then nothing is learnt.
    func turnOn() { state.withLock { $0.isOn = true } }

    func learn(_ id: UInt64, _ cache: BlockCache) {
        let starts = state.withLock { state -> Bool in
            guard state.isOn, state.waiting.count < Self.maximumWaiting, !state.waiting.contains(id) else {
                return false
            }
            state.waiting.append(id)
            defer { state.isRunning = true }
            return !state.isRunning
        }
        guard starts else { return }
        Task(priority: .background) { [weak cache] in
            while let cache, let next = self.next() {
                do throws(CacheError) {
                    try await cache.existing(next)?.learnDigests()
                } catch {
                    cache.log.debug("cache", "digests of node \(next): \(error)")
                }
            }
        }
    }

    private func next() -> UInt64? {
        state.withLock { state in
            state.isRunning = !state.waiting.isEmpty
            return state.isRunning ? state.waiting.removeFirst() : nil
        }
    }
}
