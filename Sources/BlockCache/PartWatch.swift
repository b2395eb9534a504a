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

/// Reads parts of a file that is being written, and tells which of them have changed since: by following the changes, or,
/// of a file that others may write to, by comparing digests with the snapshot that is uploaded in the end. One at a time for
/// a file. Safe from any thread.
public final class PartWatch: Sendable {
    /// One part as it was at a time; reading it fails once it is known to be changed.
    public struct Part: ByteSource {
        let watch: PartWatch
        public let number: Int
        let generation: UInt64
        /// Of what was read; nil: changes are followed.
        let digests: ReadDigests?

        /// As far as is known, it is in the file as it was.
        public var isCurrent: Bool {
            if digests != nil { return true }
            return watch.file.state.withLock { state in
                guard let changes = state.partChanges else { return false }
                return changes[number] <= generation
            }
        }

        /// The snapshot, which was taken after the part was read, has it as it was read.
        public func isPart(of snapshot: Snapshot) -> Bool {
            let range = watch.range(number)
            guard range.upperBound <= snapshot.sizeBytes else { return false }
            guard let digests else { return isCurrent }
            guard let read = digests.all, let now = snapshot.digests else { return false }
            return now.match(read, at: range.lowerBound)
        }

        public func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) {
            let outcome: ReadOutcome
            do throws(CacheError) { outcome = try watch.file.read(into: buffer, at: offset) } catch {
                throw StoreError(.refused, "read source", detail: error.description)
            }
            guard outcome == .bytes(buffer.count), isCurrent else {
                throw StoreError(.cancelled, "read source", detail: "the part changed while it was sent")
            }
            digests?.update(UnsafeRawBufferPointer(buffer), at: offset)
        }
    }

    private let file: CachedFile
    private let partBytes: Int64
    private let maximumParts: Int
    /// Changes are not seen: the snapshot needs digests.
    public let isUnseen: Bool

    /// nil for a file that has a version in the bucket of which parts may be unchanged.
    public init?(_ file: CachedFile, partBytes: Int64, maximumParts: Int) {
        self.file = file
        self.partBytes = partBytes
        self.maximumParts = maximumParts
        let (isFit, isUnseen) = file.writers.withLock { _ in
            file.state.withLock { state -> (Bool, Bool) in
                guard state.isDirty, state.originBytes == 0 else { return (false, false) }
                guard state.unseen == nil else { return (partBytes % BlockDigests.blockBytes == 0, true) }
                state.partChanges = PartChanges(partBytes: partBytes, maximumParts: maximumParts)
                return (true, false)
            }
        }
        self.isUnseen = isUnseen
        guard isFit else { return nil }
    }

    deinit { if !isUnseen { file.state.withLock { $0.partChanges = nil } } }

    private func range(_ number: Int) -> ByteRange { ByteRange(offset: Int64(number) * partBytes, length: partBytes) }

    /// The part as it is now; nil if the file doesn't have all of it, or it isn't known to rest: it was changed after the
    /// generation `quiet`, or doesn't lie in the `quietBytes` that the file had then, without holes.
    public func part(_ number: Int, unchangedSince quiet: UInt64, within quietBytes: Int64) -> Part? {
        guard number < maximumParts else { return nil }
        if isUnseen {
            guard range(number).upperBound <= min(quietBytes, file.sizeBytes), file.allocatedBytes >= quietBytes else {
                return nil
            }
            return Part(watch: self, number: number, generation: 0, digests: ReadDigests(range(number)))
        }
        // Nobody is in the middle of a change.
        return file.writers.withLock { _ in
            file.state.withLock { state in
                guard let changes = state.partChanges, range(number).upperBound <= state.sizeBytes,
                    changes[number] <= quiet
                else { return nil }
                return Part(watch: self, number: number, generation: state.generation, digests: nil)
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
