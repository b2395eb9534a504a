import Primitives

/// Where an upload's new bytes come from. Reading is repeated for retries and must give the same bytes each time.
public protocol ByteSource: Sendable {
    /// Fills `buffer` with the bytes from `offset` on. Fewer than asked for, or an I/O failure, throws
    /// `StoreError` with kind `.cancelled` (the content changed under the upload) or `.refused`.
    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError)
}

/// Bytes in memory as a source.
public struct MemorySource: ByteSource {
    public let bytes: [UInt8]
    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    public func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) {
        guard offset >= 0, Int(offset) + buffer.count <= bytes.count else {
            throw StoreError(.cancelled, "read source", detail: "the source is shorter than the plan")
        }
        bytes.withUnsafeBytes { all in
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: all[Int(offset)..<(Int(offset) + buffer.count)]))
        }
    }
}

/// What an object's new version consists of: a gapless row of segments from offset 0.
public struct UploadPlan: Sendable {
    /// A run of the new version, at the same offsets as in the source or in the old version.
    public enum Segment: Sendable, Equatable {
        /// Bytes that come from the source.
        case new(ByteRange)
        /// Bytes that are the same in the version `base` of the object `baseKey`.
        case unchanged(ByteRange)

        public var range: ByteRange {
            switch self {
            case .new(let range), .unchanged(let range): range
            }
        }
    }

    /// The version that the `unchanged` segments are taken from.
    public struct Base: Sendable, Equatable {
        public var key: ByteString
        public var etag: ETag

        public init(key: ByteString, etag: ETag) {
            self.key = key
            self.etag = etag
        }
    }

    /// What was sent ahead.
    public struct Started: Sendable {
        public var write: any StartedWrite
        /// Those of its parts that have the bytes of this plan.
        public var parts: Set<Int>

        public init(write: any StartedWrite, parts: Set<Int>) {
            self.write = write
            self.parts = parts
        }
    }

    public var segments: [Segment]
    /// Only with plans of which all is new.
    public var started: Started?
    public var base: Base?
    public var source: any ByteSource

    /// - Precondition: segments are in order, gapless, none empty; `base` is given if one is `unchanged`.
    public init(segments: [Segment], base: Base? = nil, source: any ByteSource) {
        self.segments = segments
        self.base = base
        self.source = source
        var end: Int64 = 0
        for segment in segments {
            precondition(segment.range.lowerBound == end && !segment.range.isEmpty, "a plan has no gaps")
            if case .unchanged = segment { precondition(base != nil, "unchanged bytes need a base") }
            end = segment.range.upperBound
        }
    }

    /// All bytes from the source.
    public init(whole source: any ByteSource, sizeBytes: Int64) {
        self.init(segments: sizeBytes == 0 ? [] : [.new(0..<sizeBytes)], source: source)
    }

    /// All bytes from memory.
    public init(bytes: [UInt8]) { self.init(whole: MemorySource(bytes), sizeBytes: Int64(bytes.count)) }

    public var sizeBytes: Int64 { segments.last?.range.upperBound ?? 0 }

    /// The bytes that have to be sent if the store can take unchanged ranges from the base.
    public var newBytes: Int64 {
        segments.reduce(0) { sum, segment in
            if case .new(let range) = segment { return sum + range.length }
            return sum
        }
    }
}
