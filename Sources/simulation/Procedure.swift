import FileSystem
import Primitives

/// Operations that follow each other, and what the first of them waits for.
final class Procedure {
    /// What is being got from the bucket.
    final class Waiting: @unchecked Sendable {
        let text: String
        fileprivate(set) var isOver = false
        fileprivate var error: Errno?

        fileprivate init(_ need: Need, _ life: Life) {
            text = "\(need)"
            life.begin { [weak self, fs = life.fs] in
                var failure: Errno?
                do throws(Errno) { try await fs.satisfy(need) } catch { failure = error }
                self?.error = failure
                self?.isOver = true
            }
        }
    }

    var operations: [Operation]
    private(set) var need: Waiting?
    var rounds = 0

    init(_ operations: [Operation]) { self.operations = operations }

    func begin(_ need: Need, _ life: Life) {
        rounds += 1
        self.need = Waiting(need, life)
    }

    /// Ends the waiting. Returns why what was needed can't be had.
    func takeError() -> Errno? {
        defer { need = nil }
        return need?.error
    }

    /// The present operation has failed: what follows is of no use but for closing.
    func giveUp() {
        operations = operations.dropFirst().filter { operation in
            if case .close = operation { true } else { false }
        }
    }
}
