import Primitives
import Tree

/// How the kernel is to read a directory that was opened.
public enum DirectoryReading: Sendable {
    /// By asking, and it keeps nothing of it.
    case asked
    /// By asking, and it keeps the answers for the next who opens it.
    case kept
    /// From what it has kept.
    case known
}

/// The directories of which the kernel keeps the entries. It drops them by itself when a name is made or removed through
/// it; for all other changes the next open says that it has to ask again. Thread-safe.
final class KernelListings: Sendable {
    private static let capacity = 16_384

    /// When they were opened to be read anew.
    private let begun = Lock<[NodeID: Timestamp]>([:])

    /// - Parameter youth: for how many milliseconds what is kept may be read again.
    func reading(_ directory: NodeID, now: Timestamp, youth: Int64) -> DirectoryReading {
        begun.withLock { begun in
            if let then = begun[directory], (0..<youth).contains(now.milliseconds(since: then)) { return .known }
            if begun.count >= Self.capacity { begun = [:] }
            begun[directory] = now
            return .kept
        }
    }

    /// Names in these directories came, went, or lead somewhere else.
    func changed(_ directories: Set<NodeID>) {
        begun.withLock { begun in
            if begun.isEmpty { return }
            for directory in directories { begun[directory] = nil }
        }
    }
}
