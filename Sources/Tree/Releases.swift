import Primitives

/// Keys whose objects were deleted lately: an answer of the bucket that is older than the deletion may still show them.
struct Releases: Sendable {
    static let maximumKeys = 10_000

    private var keys: [ByteString: Int64] = [:]
    /// Up to here deletions were forgotten: nothing is known of what an older answer shows.
    private var forgotten: Int64 = -1

    mutating func note(_ key: ByteString, _ sequence: Int64) {
        if keys.count >= Self.maximumKeys {
            forgotten = max(forgotten, keys.values.max() ?? 0)
            keys.removeAll()
        }
        keys[key] = sequence
    }

    /// Those that an answer asked for at `sequence` may show wrongly.
    func since(_ sequence: Int64) -> Releases {
        var recent = Releases()
        recent.keys = keys.filter { $0.value > sequence }
        recent.forgotten = forgotten > sequence ? Int64.max : -1
        return recent
    }

    func contains(_ key: ByteString) -> Bool { forgotten == Int64.max || keys[key] != nil }

    func contains(below prefix: ByteString) -> Bool {
        forgotten == Int64.max || keys.keys.contains { $0.hasPrefix(prefix) }
    }
}
