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

    /// False if some pages were changed while they were written, so that more is needed: try again.
    func protect(_ descriptor: Int32, _ path: String) throws(CacheError) -> Bool {
        switch self {
        case .begun:
            if try Self.dirtyPages(descriptor, path) == 0 { return true }
            try CacheError.check("write back", path) { pail_write_back(descriptor) }
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
