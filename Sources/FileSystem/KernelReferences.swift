import CSystem
import Glibc
import Primitives
import Tree

/// The nodes that the kernel knows of, one bit each, in a memory file (memfd_create(2)) that may outlive the process:
/// who takes the mount over learns from it which nodes without names are still open.
///
/// A process that dies while the kernel tells it to forget a node leaves the bit set: such a node, if it has no name,
/// stays until the next mount.
///
/// Setting a bit costs nothing, and memory is used for the pages with bits alone. Not thread-safe: under the file
/// system's lock.
public final class KernelReferences: @unchecked Sendable {
    /// The memory file. To be passed on, not to be closed.
    public let descriptor: Int32
    private let bits: UnsafeMutablePointer<UInt8>

    /// So many nodes can be told apart; ids are never reused. Those beyond count as unknown to the kernel.
    private static let capacity: UInt64 = 1 << 31
    private static let lengthBytes = Int(capacity / 8)

    /// How the kernel has files open; behind the bits.
    public let openFiles: OpenTable

    public convenience init() throws(Errno) {
        let descriptor = try Errno.check { pail_memory_file("pail nodes") }
        try self.init(of: descriptor)
    }

    /// Takes over what another process has noted.
    public init(of descriptor: Int32) throws(Errno) {
        try Errno.check { ftruncate(descriptor, off_t(Self.lengthBytes + OpenTable.lengthBytes)) }
        openFiles = try OpenTable(of: descriptor, at: Self.lengthBytes)
        let map = mmap(
            nil, Self.lengthBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0)
        guard let map, map != MAP_FAILED else { throw .current }
        bits = map.assumingMemoryBound(to: UInt8.self)
        self.descriptor = descriptor
    }

    deinit {
        munmap(bits, Self.lengthBytes)
        close(descriptor)
    }

    public subscript(node: NodeID) -> Bool {
        get { node.raw < Self.capacity && bits[Int(node.raw >> 3)] & 1 << (node.raw & 7) != 0 }
        set {
            guard node.raw < Self.capacity else { return }
            if newValue {
                bits[Int(node.raw >> 3)] |= 1 << (node.raw & 7)
            } else {
                bits[Int(node.raw >> 3)] &= ~(1 << (node.raw & 7))
            }
        }
    }
}
