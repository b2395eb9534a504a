import Foundation
import Primitives

@testable import BlockCache

/// A cache in a directory of its own, removed at the end.
final class CacheFixture {
    let directory: String
    private(set) var cache: BlockCache
    private let change: (inout BlockCache.Settings) -> Void

    init(_ change: @escaping (inout BlockCache.Settings) -> Void = { _ in }) throws {
        // In memory where possible: what is tested is what the process leaves, not the disk.
        let parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm/" : NSTemporaryDirectory()
        directory = parent + "pail-cache-" + UUID().uuidString
        self.change = change
        cache = try Self.make(directory, change)
        _ = try cache.startScan(trustClean: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    private static func make(
        _ directory: String, _ change: (inout BlockCache.Settings) -> Void
    ) throws -> BlockCache {
        var settings = BlockCache.Settings(directory: directory)
        settings.reserveBytes = 0
        change(&settings)
        return try BlockCache(settings: settings)
    }

    /// As after the death of the process (or, with `trustClean` false, of the machine): only what is on the disk counts.
    @discardableResult
    func restart(trustClean: Bool = true) throws -> StartScan {
        cache = try Self.make(directory, change)
        return try cache.startScan(trustClean: trustClean)
    }

    func path(_ id: UInt64) -> String { cache.path(of: id) }
}

extension CachedFile {
    func writeAll(_ bytes: [UInt8], at offset: Int64) throws -> WriteOutcome {
        let result = bytes.withUnsafeBytes { buffer in Result { try self.write(buffer, at: offset) } }
        return try result.get()
    }

    /// The bytes, or nil if some are missing.
    func readAll(_ range: ByteRange) throws -> [UInt8]? {
        var bytes = [UInt8](repeating: 0xEE, count: Int(range.length))
        let outcome = try bytes.withUnsafeMutableBytes { buffer in
            Result { try self.read(into: buffer, at: range.lowerBound) }
        }.get()
        guard case .bytes(let count) = outcome else { return nil }
        return Array(bytes[..<count])
    }
}

func pattern(_ count: Int, seed: Int = 1) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
        var value = UInt64(truncatingIfNeeded: seed) &+ 1
        var index = 0
        while index < count {
            value = value &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5677
            withUnsafeBytes(of: value | 0x0101_0101_0101_0101) { bytes in
                _ = memcpy(buffer.baseAddress! + index, bytes.baseAddress!, min(8, count - index))
            }
            index += 8
        }
        filled = count
    }
}

/// As `==`, which is slow for long arrays in a debug build.
func same(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.count == right.count && memcmp(left, right, left.count) == 0
}
