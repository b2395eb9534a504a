import Configuration
import FileSystem
import FuseBridge
import Glibc

/// Where a daemon mounts and what it has taken for that: found free, or taken over from a daemon that has died.
struct Place: Sendable {
    var mountPoint: MountPoint
    var lock: CacheLock
    var references: KernelReferences
    /// The mount to go on with; nil: one is to be made, unless `isGone`.
    var former: FormerSession?
    /// The former mount was unmounted; only uploads are left to do.
    var isGone = false

    private static let minimumFreeBytes: Int64 = 64 << 20

    static func find(
        _ configuration: MountConfiguration, _ directory: CacheDirectory, kept: KeptMount?
    ) async throws(MountFailure) -> Place {
        if let kept { return try takeOver(kept) }
        let mountPoint = MountPoint(MountPoint.resolved(configuration.mountPoint ?? ""))
        try await mountPoint.check(configuration, cache: directory)
        let lock = try await Handover.lock(directory)
        guard directory.freeBytes() >= minimumFreeBytes else {
            throw MountFailure(
                .cache, "the disk of the cache directory \(directory.path) is full: free some space, or --cache-dir")
        }
        return Place(mountPoint: mountPoint, lock: lock, references: try references { try KernelReferences() })
    }

    /// Nothing is asked of the mount point here: nobody would answer.
    private static func takeOver(_ kept: KeptMount) throws(MountFailure) -> Place {
        let old = kept.session
        var place = Place(
            mountPoint: MountPoint(old.mountPoint), lock: CacheLock(of: kept.lock),
            references: try references { try KernelReferences(of: kept.references) })
        guard old.isConnected else {
            place.isGone = true
            return place
        }
        if old.canResend {
            place.former = old
            return place
        }
        // What was under way can't be answered any more: it ends with an error, and a new mount takes the place.
        old.abort()
        place.references = try references { try KernelReferences() }
        return place
    }

    private static func references(_ make: () throws -> KernelReferences) throws(MountFailure) -> KernelReferences {
        do { return try make() } catch {
            throw MountFailure(.failed, "can't note what the kernel knows: \(error)")
        }
    }
}

extension KeptMount {
    /// The configuration may have changed since: another cache's nodes are not those that the kernel knows.
    func check(_ directory: CacheDirectory, _ identity: CacheIdentity) throws(MountFailure) {
        guard cacheDirectory == directory.path, cacheID == identity.id else {
            throw MountFailure(
                .cache, "the mount on \(session.mountPoint) was that of \(cacheDirectory), not of \(directory.path)")
        }
    }
}
