import CSystem
import Glibc

/// How it is made sure that the next store to any mapped page of a file gives the file another time: pages that were
/// written back are write-protected in all maps (page_mkclean in the kernel).
public enum WriteBack: Sendable, CaseIterable {
    /// Nobody waits for the disk: the kernel protects pages when it begins to write them, and says which are not yet
    /// (cachestat(2), Linux 6.5). Not where one file system lies on another: the pages are the lower one's.
    case begun
    /// fdatasync(2).
    case complete

    /// So much is begun in one call: where the disk is slow, a process that is killed ends after the call.
    private static let stepBytes: Int64 = 16 << 20

    /// False if some pages were changed while they were written, so that more is needed: try again.
    func protect(_ descriptor: Int32, _ path: String) throws(CacheError) -> Bool {
        switch self {
        case .begun:
            if try Self.dirtyPages(descriptor, path) == 0 { return true }
            var status = stat()
            try CacheError.check("stat", path) { fstat(descriptor, &status) }
            for offset in stride(from: 0, to: Int64(status.st_size), by: Int(Self.stepBytes)) {
                try CacheError.check("write back", path) { pail_write_back(descriptor, offset, Self.stepBytes) }
            }
            return try Self.dirtyPages(descriptor, path) == 0
        case .complete:
            try CacheError.check("sync", path) { fdatasync(descriptor) }
            return true
        }
    }

    private static func dirtyPages(_ descriptor: Int32, _ path: String) throws(CacheError) -> Int64 {
        try CacheError.check("look at the pages of", path) { pail_dirty_pages(descriptor) }
    }
}
