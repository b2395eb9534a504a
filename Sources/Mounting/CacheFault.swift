import BlockCache
import Glibc
import Primitives
import Tree

/// Why a cache can't be used as it is.
struct CacheFault: Equatable {
    /// Up to this size of the database every start looks at all of it, in some 50 ms; beyond, only one after a power loss.
    /// What a killed daemon has written is in the files, and its logs say whether that is damaged.
    private static let thoroughBytes: Int64 = 4 << 20

    /// For people.
    var reason: String
    /// The database may have had changes in it that can't be seen any more.
    var hidesChanges: Bool

    /// nil: the cache can be used. Hold its lock, and look out for another format before.
    static func find(_ directory: CacheDirectory, prior: PriorStop) throws(MountFailure) -> CacheFault? {
        let databaseBytes = Directory.sizeBytes(directory.database)
        let logBytes = Directory.sizeBytes(directory.database + "-wal")
        switch CacheIdentity.read(directory) {
        case .damaged: return CacheFault(reason: "its identity can't be read", hidesChanges: false)
        case .none:
            if databaseBytes == 0, !holdsDirtyContent(directory) { return nil }
            return CacheFault(reason: "its identity is missing", hidesChanges: false)
        case .otherFormat(let format): throw CacheIdentity.otherFormat(format, directory)
        case .sound(let identity):
            if databaseBytes == 0 { return CacheFault(reason: "its database is missing", hidesChanges: logBytes > 0) }
            let isThorough = prior == .powerLost || databaseBytes + logBytes <= thoroughBytes
            return try find(identity, directory, thorough: isThorough, prior)
        }
    }

    private static func find(
        _ identity: CacheIdentity, _ directory: CacheDirectory, thorough: Bool, _ prior: PriorStop
    ) throws(MountFailure) -> CacheFault? {
        let check: TreeCheck
        do {
            check = try TreeCheck(
                path: directory.database, thorough: thorough, afterPowerLoss: prior == .powerLost)
        } catch {
            throw MountFailure(.cache, "cache directory \(directory.path): \(error)")
        }
        if check.format == 0, check.faults.isEmpty {
            return CacheFault(reason: "its database is empty", hidesChanges: false)
        }
        if let format = check.format, format != CacheFormat.current {
            return CacheFault(reason: "its database says format \(format), its identity doesn't", hidesChanges: true)
        }
        if let fault = check.faults.first {
            return CacheFault(reason: "its database is damaged: \(fault)", hidesChanges: true)
        }
        if check.cacheID != identity.id {
            return CacheFault(reason: "its database is that of another cache", hidesChanges: true)
        }
        return nil
    }

    static func holdsDirtyContent(_ directory: CacheDirectory) -> Bool {
        var found = false
        ContentFile.forEach(in: directory.path) { if $0.isDirty { found = true } }
        return found
    }
}
