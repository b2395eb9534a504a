import ObjectStore
import Primitives

/// How an upload plan becomes the parts of one multipart upload. A value.
///
/// All borders between parts but the object's end lie on multiples of a granule of at least 5 MiB, so that no part is
/// too small; what is unchanged but shares a granule with new bytes is sent with them.
struct PartPlan: Equatable, Sendable {
    enum Part: Equatable, Sendable {
        /// The server copies the range from the base.
        case copy(ByteRange)
        /// The range is sent; its unchanged bytes, if any, have to be fetched from the base.
        case send(ByteRange)
    }

    /// Limits of AWS ("Amazon S3 multipart upload limits").
    static let minimumPartBytes: Int64 = 5 << 20
    static let maximumPartBytes: Int64 = 5 << 30
    static let maximumParts = 10_000

    let parts: [Part]

    /// Whether one request with all the bytes does it.
    var isSingleRequest: Bool {
        switch parts.first {
        case nil: true
        case .send: parts.count == 1
        case .copy: false
        }
    }

    init(_ segments: [UploadPlan.Segment], canCopy: Bool, partBytes: Int64, copyPartBytes: Int64) {
        let size = segments.last?.range.upperBound ?? 0
        let unchanged = canCopy ? Self.unchangedRuns(segments) : []
        var granule = Self.minimumPartBytes
        var sendBytes = max(partBytes, (size + Int64(Self.maximumParts) - 1) / Int64(Self.maximumParts))
        var copyBytes = max(copyPartBytes, sendBytes)
        while true {
            let parts = Self.parts(
                size, unchanged, granule: granule, sendBytes: min(sendBytes, Self.maximumPartBytes),
                copyBytes: min(copyBytes, Self.maximumPartBytes))
            if parts.count <= Self.maximumParts || granule > size {
                self.parts = parts
                return
            }
            granule *= 2
            sendBytes *= 2
            copyBytes *= 2
        }
    }

    /// Parts of one size, as they were sent ahead.
    init(sizeBytes: Int64, partBytes: Int64) { parts = Self.split(0..<sizeBytes, by: partBytes, 1).map { .send($0) } }

    /// Adjacent unchanged segments as one range.
    private static func unchangedRuns(_ segments: [UploadPlan.Segment]) -> [ByteRange] {
        var runs: [ByteRange] = []
        for case .unchanged(let range) in segments {
            if let last = runs.last, last.upperBound == range.lowerBound {
                runs[runs.count - 1] = last.lowerBound..<range.upperBound
            } else {
                runs.append(range)
            }
        }
        return runs
    }

    private static func parts(
        _ size: Int64, _ unchanged: [ByteRange], granule: Int64, sendBytes: Int64, copyBytes: Int64
    ) -> [Part] {
        var parts: [Part] = []
        var done: Int64 = 0
        for run in unchanged {
            let lower = (run.lowerBound + granule - 1) / granule * granule
            let upper = run.upperBound == size ? size : run.upperBound / granule * granule
            guard lower < upper else { continue }
            parts += split(done..<lower, by: sendBytes, granule).map { .send($0) }
            parts += split(lower..<upper, by: copyBytes, granule).map { .copy($0) }
            done = upper
        }
        // Without copies there are no borders to keep to.
        return parts + split(done..<size, by: sendBytes, parts.isEmpty ? 1 : granule).map { .send($0) }
    }

    private static func split(_ range: ByteRange, by bytes: Int64, _ granule: Int64) -> [ByteRange] {
        let step = max(1, bytes / granule) * granule
        return stride(from: range.lowerBound, to: range.upperBound, by: Int64.Stride(step)).map {
            $0..<min($0 + step, range.upperBound)
        }
    }
}
