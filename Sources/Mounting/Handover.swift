import Glibc
import Primitives

/// Taking a cache directory over from a daemon that has nothing mounted any more and is still uploading.
enum Handover {
    private static let endMilliseconds: Int64 = 15_000

    /// The cache's lock; asks a daemon that only uploads to let go of it.
    static func lock(_ directory: CacheDirectory) async throws(MountFailure) -> CacheLock {
        if let lock = try CacheLock(directory) { return lock }
        let client = ControlClient(cacheDirectory: directory.path)
        _ = await Threads.value(withinMilliseconds: endMilliseconds) {
            client.ask(.release, silenceMilliseconds: endMilliseconds) { _ in } == nil
                && client.waitForEnd(milliseconds: endMilliseconds)
        }
        // Also when nobody answered: it may just have ended.
        if let lock = try CacheLock(directory) { return lock }
        throw MountFailure(
            .cache,
            "cache directory \(directory.path) is in use by \(CacheLock.holder(directory)): "
                + "unmount that mount first, or name another one with --cache-dir")
    }
}
