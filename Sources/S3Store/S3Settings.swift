/// Where a bucket is and how much is done at once.
public struct S3Settings: Sendable, Equatable {
    /// How the bucket's name gets into the URL.
    public enum Addressing: String, Sendable, CaseIterable {
        /// Virtual host for AWS, path for all others.
        case auto
        /// `https://host/bucket/key`
        case path
        /// `https://bucket.host/key`
        case virtualHost
    }

    public var bucket: String
    /// nil: `us-east-1` until the server names another.
    public var region: String?
    /// `scheme://host[:port][/path]`; nil: AWS.
    public var endpoint: String?
    public var addressing = Addressing.auto
    /// Requests at the same time, all kinds together.
    public var concurrentRequests = 64
    /// Parts of one write sent at the same time.
    public var concurrentParts = 8
    /// Parts held in memory at the same time (those that need bytes of the old version), all writes together.
    public var bufferedParts = 4
    /// Size of an uploaded part, and of the largest object that is sent in one request; 5 MiB to 5 GiB. Grows with the
    /// object so that 10,000 parts are enough.
    public var partBytes: Int64 = 16 << 20
    /// Size of a part that the server copies.
    public var copyPartBytes: Int64 = 512 << 20
    /// Objects up to this are copied in one request (AWS: 5 GiB).
    public var singleCopyBytes: Int64 = 5 << 30
    /// No byte either way for so long ends a request.
    public var stallMilliseconds: Int64 = 30_000
    /// The same for requests whose answer takes time: copies, and putting parts together.
    public var slowStallMilliseconds: Int64 = 300_000

    public init(bucket: String, region: String? = nil, endpoint: String? = nil) {
        self.bucket = bucket
        self.region = region
        self.endpoint = endpoint
    }
}
