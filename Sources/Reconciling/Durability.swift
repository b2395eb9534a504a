import Primitives
import Tree

/// Makes the tree survive power loss, for many at once: who comes while a sync is running shares the next one.
///
/// What can't be taken back has to wait for it, since after power loss the tree may be an older one: a content file that
/// is marked clean or removed and an object that is deleted would be lost to it, one that is written would be a
/// stranger's.
final class Durability: Sendable {
    private struct State {
        var isRunning = false
        var waiting: [CheckedContinuation<Result<Void, TreeError>, Never>] = []
    }

    private let tree: Tree
    private let state = Lock(State())

    init(_ tree: Tree) { self.tree = tree }

    /// Returns when all that was committed before the call is on the disk.
    func reach() async throws(BucketError) {
        let result = await withCheckedContinuation { continuation in
            let begins = state.withLock { state -> Bool in
                state.waiting.append(continuation)
                defer { state.isRunning = true }
                return !state.isRunning
            }
            if begins { Task { self.run() } }
        }
        try inTree(result.get())
    }

    private func run() {
        while true {
            let waiting = state.withLock { state -> [CheckedContinuation<Result<Void, TreeError>, Never>] in
                defer { state.waiting = [] }
                state.isRunning = !state.waiting.isEmpty
                return state.waiting
            }
            if waiting.isEmpty { return }
            let result: Result<Void, TreeError>
            do throws(TreeError) { result = .success(try tree.makeDurable()) } catch { result = .failure(error) }
            for continuation in waiting { continuation.resume(returning: result) }
        }
    }
}

extension Reconciler {
    /// Returns when all that the tree had at the call survives power loss.
    public func makeDurable() async throws(BucketError) { try await durability.reach() }
}
