import Configuration
import Telemetry

/// A cache directory made ready for a daemon: it is this bucket's, and what couldn't be used is out of the way.
struct CacheStart {
    var identity: CacheIdentity
    /// How the last daemon on what the cache holds now ended.
    var prior: PriorStop
    /// For who mounts: what was set aside, and how to look at it.
    var notice: String?

    /// Hold the cache's lock, and have reached the bucket: what is written here makes the directory the bucket's.
    init(_ directory: CacheDirectory, for configuration: MountConfiguration, log: Log) throws(MountFailure) {
        let marker = RunningMarker(directory: directory)
        var kept = try SetAside.resume(directory)
        if let fault = try CacheFault.find(directory, prior: marker.priorStop()) {
            log.warning("cache", "\(directory.path) can't be used: \(fault.reason)")
            kept = try SetAside.move(directory, fault) ?? kept
        }
        if let kept {
            let reason = kept.reason ?? "it was being set aside"
            notice =
                "the cache could not be used (\(reason)) and is set aside as \(kept.directory.path): "
                + "pail cache list \(kept.directory.path) shows what is in it, pail cache export saves it"
        }
        if let notice { log.error("cache", notice) }
        identity = try CacheIdentity.find(directory, for: configuration)
        try identity.claim(directory)
        prior = marker.priorStop()
        if prior == .clean { try marker.begin() }
    }
}
