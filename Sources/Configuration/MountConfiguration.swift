/// Everything that can be said about one mount. `Settings.all` says how each value is written.
/// Never holds a secret, only where secrets are found.
public struct MountConfiguration: Sendable, Equatable {
    /// How S3 requests name the bucket: in the path, in the host name, or whichever the endpoint wants.
    public enum PathStyle: String, Sendable, CaseIterable { case auto, `true`, `false` }
    /// What fsync waits for.
    public enum SyncTarget: String, Sendable, CaseIterable { case local, remote }
    public enum Verbosity: String, Sendable, CaseIterable { case debug, info, warning, error }

    public struct Cache: Sendable, Equatable {
        /// nil: a directory of the mount's own under the user's cache directory.
        public var directory: String?
        /// Most bytes of content on the local disk.
        public var limitBytes: Int64 = 10 << 30
        /// Bytes of the disk that are left free.
        public var reserveBytes: Int64 = 1 << 30
        /// Most bytes not yet uploaded; writers wait beyond. nil: four fifths of the limit.
        public var maximumDirtyBytes: Int64?
    }

    public struct Logging: Sendable, Equatable {
        /// nil: `log` in the cache directory, or stderr in the foreground.
        public var file: String?
        public var level = Verbosity.info
    }

    public struct Concurrency: Sendable, Equatable {
        public var uploads = 16
        public var fetches = 32
    }

    public struct TLS: Sendable, Equatable {
        /// A file with the certificates to trust; nil: the system's.
        public var caFile: String?
        public var verify = true
    }

    public var bucket: BucketAddress?
    public var mountPoint: String?
    public var endpoint: String?
    public var region: String?
    public var pathStyle = PathStyle.auto
    public var profile: String?
    public var passwordFile: String?
    public var anonymous = false
    public var cache = Cache()
    public var readOnly = false
    /// Let the kernel read and write cached files by itself, where that can be had.
    public var passthrough = true
    public var allowOther = false
    /// Mount over a directory that has entries.
    public var nonEmpty = false
    /// How long a file must be left alone before its upload begins.
    public var uploadDelayMilliseconds: Int64 = 1_000
    /// How long names are believed before the bucket is asked again.
    public var refreshMilliseconds: Int64 = 5_000
    public var sync = SyncTarget.local
    /// For objects that carry no attributes; nil: who mounts.
    public var user: UInt32?
    public var group: UInt32?
    public var fileMode: UInt32 = 0o644
    public var directoryMode: UInt32 = 0o755
    public var log = Logging()
    public var concurrency = Concurrency()
    public var tls = TLS()
    /// nil: `https_proxy` and its like.
    public var proxy: String?
    /// How long a request may go without a byte in either direction.
    public var requestTimeoutMilliseconds: Int64 = 30_000
    /// Send requests that only read a second time when their answer is late.
    public var hedge = false
    /// mount(8) options for the kernel: `noexec`, `noatime`.
    public var kernelOptions: [String] = []

    public init() {}
}
