import Glibc
import Primitives

/// Removing a cache for good.
public enum CacheRemoval {
    private static let names = [
        "tree.db", "tree.db-wal", "tree.db-redo", "tree.db-redo.new", "tree.db-journal", "tree.db-shm", "content",
        "lost+found", "set-aside",
        "capabilities",
        "control.sock", "log", "log.old", "running", "identity.new", "reason", "identity",
    ]

    /// Removes a cache that nobody uses, or one that was set aside. Unless `discarding`, only if all that is in it, and in
    /// what was set aside in it, is in the bucket.
    public static func remove(_ directory: CacheDirectory, discarding: Bool) throws(MountFailure) {
        let lock = try CacheLock.forLooking(directory)
        if !discarding, let kept = try CacheCatalog.at(directory.path).first(where: \.mayHoldChanges) {
            throw MountFailure(
                .incomplete,
                "\(kept.path) holds \(kept.dirtyFiles) files with changes that are not in the bucket"
                    + " and \(kept.waiting) names with work: pail cache export saves them, --discard removes all the same"
            )
        }
        do throws(Errno) {
            for name in names { try Directory.remove(directory.path + "/" + name) }
            if lock != nil { try Directory.remove(directory.lockFile) }
            // Somebody else's things stay, and so does the directory then.
            if rmdir(directory.path) != 0, errno != ENOTEMPTY { throw .current }
        } catch {
            throw directory.failure("can't be removed", error)
        }
        withExtendedLifetime(lock) {}
    }
}

extension CacheSummary {
    /// As `holdsChanges`; also for one whose changes can't be seen.
    fileprivate var mayHoldChanges: Bool {
        if case .unusable = state { return true }
        return holdsChanges
    }
}
