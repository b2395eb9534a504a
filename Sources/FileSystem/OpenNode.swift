import BlockCache
import Glibc
import Primitives
import Tree

/// A file that is open: its content, and what the tree doesn't know yet of the writes.
final class OpenNode: Sendable {
    struct State {
        /// Open handles, and operations that work on the content without one.
        var users = 0
        /// The tree knows that the content is being changed, as of this count of uploads begun.
        var announced: UInt64?
        /// When it was last written, if the tree doesn't have that yet.
        var modified: Timestamp?
        /// It was read since it was opened or last written.
        var isAccessNoted = false
        /// It was opened for reading and writing past this process: it may be mapped as long as anybody has it open.
        var mayBeMapped = false
    }

    let id: NodeID
    let file: CachedFile
    let state = Lock(State())
    /// Before the others, and the locks of the content and the tree.
    let mode: Lock<OpenMode>
    /// So that the tree gets one state after the other.
    let settling = Lock(())

    init(_ id: NodeID, _ file: CachedFile, _ mode: OpenMode) {
        self.id = id
        self.file = file
        self.mode = Lock(mode)
    }

    /// True for the first read since it was opened or last written.
    func takeAccess() -> Bool {
        state.withLock { state in
            defer { state.isAccessNoted = true }
            return !state.isAccessNoted
        }
    }
}

/// An open file.
final class OpenFile: Sendable {
    let node: OpenNode
    let isReadable: Bool
    let isWritable: Bool
    /// The process before has opened it.
    let isFormer: Bool
    let readAhead: Lock<ReadAhead>
    let aheadFetches: AheadFetches

    init(_ node: OpenNode, flags: Int32, _ fetcher: Fetcher, maximumWindowBytes: Int64, isFormer: Bool = false) {
        self.node = node
        self.isFormer = isFormer
        let access = flags & O_ACCMODE
        isReadable = access != O_WRONLY
        isWritable = access != O_RDONLY
        aheadFetches = AheadFetches(fetcher, node.file)
        if isWritable { node.file.beginWriting() }
        readAhead = Lock(ReadAhead(maximumWindowBytes: maximumWindowBytes))
    }

    deinit { if isWritable { node.file.endWriting() } }
}

/// What is open.
enum Handle: Sendable {
    case file(OpenFile)
    case directory(NodeID)
}
