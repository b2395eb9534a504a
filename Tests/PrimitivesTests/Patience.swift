import Primitives
import Testing

/// Waits for `condition`, at most 5 s; false if it didn't come.
func eventually(_ condition: @Sendable () -> Bool) async -> Bool {
    for _ in 0..<5000 {
        if condition() { return true }
        await SystemTime().sleep(milliseconds: 1)
    }
    return condition()
}

/// A number that tasks count with.
typealias Tally = Lock<Int>

extension Lock<Int> {
    func add(_ number: Int = 1) { withLock { $0 += number } }
    var number: Int { withLock { $0 } }
}
