import ObjectStore
import Primitives

/// When each part of a file was last changed, in generations of its content.
struct PartChanges {
    let partBytes: Int64
    let maximumParts: Int
    private var generations: [UInt64] = []

    init(partBytes: Int64, maximumParts: Int) {
        self.partBytes = partBytes
        self.maximumParts = maximumParts
    }

    /// 0: not since it is watched.
    subscript(_ number: Int) -> UInt64 { number < generations.count ? generations[number] : 0 }

    mutating func note(_ range: ByteRange, _ generation: UInt64) {
        guard !range.isEmpty else { return }
        let end = min(Int((range.upperBound - 1) / partBytes) + 1, maximumParts)
        let first = min(Int(range.lowerBound / partBytes), end)
        while generations.count < end { generations.append(0) }
        for number in first..<end { generations[number] = generation }
    }
}

/// Reads parts of a file that is being written, and tells which of them have changed since. One at a time for a file.
/// Safe from any thread.
public final class PartWatch: Sendable {
    /// One part as it was at a time; reading it fails once it was changed.
    public struct Part: ByteSource {
        let watch: PartWatch
        public let number: Int
        let generation: UInt64

        /// It is in the file as it was.
        public var isCurrent: Bool {
            watch.file.state.withLock { state in
                guard let changes = state.partChanges, state.unseen == nil else { return false }
                return changes[number] <= generation
            }
        }

        public func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) {
            let outcome: ReadOutcome
            do throws(CacheError) { outcome = try watch.file.read(into: buffer, at: offset) } catch {
                throw StoreError(.refused, "read source", detail: error.description)
            }
            guard outcome == .bytes(buffer.count), isCurrent else {
                throw StoreError(.cancelled, "read source", detail: "the part changed while it was sent")
            }
        }
    }

    private let file: CachedFile
    private let partBytes: Int64

    /// nil for a file that has a version in the bucket of which parts may be unchanged, or to which others may write.
    public init?(_ file: CachedFile, partBytes: Int64, maximumParts: Int) {
        self.file = file
        self.partBytes = partBytes
        let isFit = file.writers.withLock { _ in
            file.state.withLock { state -> Bool in
                guard state.isDirty, state.originBytes == 0, state.unseen == nil else { return false }
                state.partChanges = PartChanges(partBytes: partBytes, maximumParts: maximumParts)
                return true
            }
        }
        guard isFit else { return nil }
    }

    deinit { file.state.withLock { $0.partChanges = nil } }

    /// The part as it is now; nil if the file doesn't have all of it, or it was changed after `quiet`.
    public func part(_ number: Int, unchangedSince quiet: UInt64) -> Part? {
        // Nobody is in the middle of a change.
        file.writers.withLock { _ in
            file.state.withLock { state in
                guard let changes = state.partChanges, state.unseen == nil, number < changes.maximumParts,
                    Int64(number + 1) * partBytes <= state.sizeBytes, changes[number] <= quiet
                else { return nil }
                return Part(watch: self, number: number, generation: state.generation)
            }
        }
    }
}

extension CachedFile {
    /// A handle through which it may be written is there; pair with `endWriting`.
    public func beginWriting() { state.withLock { $0.writingHandles += 1 } }
    public func endWriting() { state.withLock { $0.writingHandles -= 1 } }

    /// Somebody has it open and may write to it.
    public var mayBeWritten: Bool { state.withLock { $0.writingHandles > 0 } }
}
