/// A half-open range of byte offsets, `lower ..< upper`, in a file or an object.
public typealias ByteRange = Range<Int64>

extension Range<Int64> {
    public var length: Int64 { upperBound - lowerBound }

    public init(offset: Int64, length: Int64) { self = offset..<(offset + length) }
}
