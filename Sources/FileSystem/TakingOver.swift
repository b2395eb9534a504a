import BlockCache
import Glibc
import Primitives
import Tree

/// What the kernel still has from the process that served the mount before.
extension FileSystem {
    /// Makes a handle of the former process usable. The kernel says which node it is of; how it was opened is in its
    /// number. Does nothing for handles that are known, and for those that can't be opened again.
    public func reopen(_ id: HandleID, of node: NodeID) {
        guard id.start < tree.starts, state.withLock({ $0.handles[id] == nil }) else { return }
        guard let found = (try? tree.node(node)) ?? nil else { return }
        if id.isDirectory { return state.withLock { $0.handles[id] = .directory(node) } }
        guard let open = try? use(found) else { return }
        let file = OpenFile(
            open, flags: id.access, fetcher, maximumWindowBytes: settings.readAheadBytes, isFormer: true)
        let isFirst = state.withLock { state -> Bool in
            guard state.handles[id] == nil else { return false }
            state.handles[id] = .file(file)
            return true
        }
        // Another thread was faster.
        if !isFirst { endUse(open) }
    }

    /// Whether the former process carried the request out, the answer to which it didn't live to give.
    public func isDone(request number: UInt64) -> Bool { (try? tree.isDone(request: number)) ?? false }

    /// What such a request has made, as `lookup` answers.
    public func made(_ parent: NodeID, _ name: ByteString) throws(Failure) -> Entry {
        entry(try found(parent, name).node)
    }

    /// What such a `create` has made, opened.
    public func created(_ parent: NodeID, _ name: ByteString, flags: Int32) throws(Failure) -> (Entry, Opened) {
        let node = try found(parent, name).node
        guard node.isFile else { throw Failure(EISDIR) }
        return try opened(try use(node), node, flags)
    }

    private func found(_ parent: NodeID, _ name: ByteString) throws(Failure) -> Found {
        guard let found = try local(tree.find(parent, name)) else { throw Failure(ENOENT) }
        return found
    }

    /// A node without a name may be open, although this process knows nothing of it.
    func isFormer(_ node: NodeID) -> Bool {
        state.withLock { $0.lookups[node] == nil && references?[node] == true }
    }
}

/// The kernel's references to a node: those that this process has counted, and whether the former one has any, of
/// which the number is unknown.
struct ReferenceCount {
    var counted: UInt64 = 0
    var isFormer = false

    /// False when none is left. The kernel gives up single references, or all of them together.
    mutating func drop(_ count: UInt64) -> Bool {
        if count > counted { return false }
        counted -= count
        return counted > 0 || isFormer
    }
}

extension HandleID {
    // From the lowest bit: how it was opened (2 bits of O_ACCMODE), directory, a count (32 bits), which start of the
    // tree the process had.

    init(start: UInt64, count: UInt64, access: Int32, isDirectory: Bool) {
        self.init(start << 35 | count << 3 | (isDirectory ? 4 : 0) | UInt64(access & O_ACCMODE))
    }

    var start: UInt64 { raw >> 35 }
    var isDirectory: Bool { raw & 4 != 0 }
    var access: Int32 { Int32(raw & 3) }
}

extension Handle {
    var isDirectory: Bool { if case .directory = self { true } else { false } }

    /// As open(2) has it.
    var access: Int32 {
        guard case .file(let file) = self else { return O_RDONLY }
        return file.isWritable ? (file.isReadable ? O_RDWR : O_WRONLY) : O_RDONLY
    }
}
