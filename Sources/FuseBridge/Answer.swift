import FileSystem
import Primitives

/// What an operation came to, to be sent to the kernel.
enum Answer: Sendable {
    case done
    case entry(Entry)
    case attributes(Attributes, milliseconds: Int64)
    /// `flags` are those of open(2).
    case opened(Opened, flags: Int32)
    case created(Entry, Opened, flags: Int32)
    case directory(OpenedDirectory)
    case target(ByteString)
    case bytes([UInt8])
    /// The size an extended attribute's caller must have room for.
    case needed(Int)
    case written(Int)
    case position(Int64)
    case statistics(FileSystemStatistics)
}

extension Answer {
    /// Attributes that the kernel may keep so long, if it may at all.
    static func attributes(_ attributes: Attributes, keptFor milliseconds: Int64) -> Answer {
        .attributes(attributes, milliseconds: attributes.isVolatile ? 0 : milliseconds)
    }
}

/// An operation on the file system, which may be run several times until what it needs is there.
typealias Operation = @Sendable (FileSystem) throws(Failure) -> Answer
