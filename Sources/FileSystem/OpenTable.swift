import Glibc
import Primitives
import Tree

/// How the kernel has each file open, in a memory file that outlives the process: who takes the mount over has to open
/// files in the same way. Thread-safe.
///
/// Slots of 16 bytes. The first one: UInt64, how many slots were ever used, itself among them. Each other, for an open
/// file: UInt64 node, 0 for a free slot; Int32 id of the backing file, 0 if requests come to the daemon; UInt32 how many
/// handles. A handle is noted before the kernel knows of it, and given up after the
/// kernel has, so a process that dies in between leaves a count that is too high and never one that is too low.
public final class OpenTable: @unchecked Sendable {
    /// What a slot says.
    public struct Entry: Sendable, Equatable {
        public var node: NodeID
        public var backing: Int32
        public var handles: Int

        public init(node: NodeID, backing: Int32, handles: Int) {
            self.node = node
            self.backing = backing
            self.handles = handles
        }
    }

    private struct State {
        var free: [Int] = []
        /// Slots from here on were never used.
        var end = 1
    }

    /// Files that may be open at a time and be known to the next process.
    static let capacity = 1 << 20
    private static let slotBytes = 16
    static let lengthBytes = capacity * slotBytes

    private let base: UnsafeMutableRawPointer
    private let state = Lock(State())
    /// What the process before has left.
    public let former: [(slot: Int, entry: Entry)]

    /// Maps the table that lies at `offset` of the memory file.
    init(of descriptor: Int32, at offset: Int) throws(Errno) {
        let map = mmap(
            nil, Self.lengthBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, off_t(offset))
        guard let map, map != MAP_FAILED else { throw .current }
        base = map
        var found: [(Int, Entry)] = []
        var free: [Int] = []
        let end = min(Self.capacity, max(1, Int(clamping: map.load(as: UInt64.self))))
        for slot in 1..<end {
            let place = map + slot * Self.slotBytes
            let node = place.load(as: UInt64.self)
            if node == 0 {
                free.append(slot)
                continue
            }
            let entry = Entry(
                node: NodeID(node), backing: place.load(fromByteOffset: 8, as: Int32.self),
                handles: Int(place.load(fromByteOffset: 12, as: UInt32.self)))
            found.append((slot, entry))
        }
        former = found
        state.withLock { state in
            state.free = free
            state.end = end
        }
    }

    deinit { munmap(base, Self.lengthBytes) }

    /// Notes an open file; nil if there are too many.
    func add(_ entry: Entry) -> Int? {
        let slot = state.withLock { state -> Int? in
            if let slot = state.free.popLast() { return slot }
            guard state.end < Self.capacity else { return nil }
            state.end += 1
            base.storeBytes(of: UInt64(state.end), as: UInt64.self)
            return state.end - 1
        }
        guard let slot else { return nil }
        set(slot, entry)
        return slot
    }

    /// Changes what a slot says. One thread at a time for each slot.
    func set(_ slot: Int, _ entry: Entry) {
        let place = base + slot * Self.slotBytes
        place.storeBytes(of: entry.backing, toByteOffset: 8, as: Int32.self)
        place.storeBytes(of: UInt32(clamping: entry.handles), toByteOffset: 12, as: UInt32.self)
        place.storeBytes(of: entry.node.raw, as: UInt64.self)
    }

    func remove(_ slot: Int) {
        (base + slot * Self.slotBytes).storeBytes(of: 0, as: UInt64.self)
        state.withLock { $0.free.append(slot) }
    }
}
