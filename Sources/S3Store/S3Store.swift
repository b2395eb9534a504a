import Credentials
import HTTPTransport
import ObjectStore
import Primitives
import Telemetry

/// A bucket behind the S3 API: AWS, or one of the many servers that speak it more or less.
///
/// What the server really does with conditions, checksums and copies is found out by trying (`CapabilityProbe`); where
/// it doesn't check a condition, it is checked by a request just before.
/// - `ObjectInfo.lastModified` is `.zero` after writes: the API doesn't tell.
/// - Metadata names and values have to be printable ASCII.
/// - A part of a multipart upload that fails for a passing reason is sent again, up to `partRetries`.
public final class S3Store: ObjectStore {
    /// What is being found out, shared by all who wait for it.
    private enum Knowledge {
        case none
        case asking(Task<Result<S3Capabilities, StoreError>, Never>)
        case known(S3Capabilities)
    }

    public let name: String
    let settings: S3Settings
    let client: S3Client
    let bufferedParts: Gate
    let partRetries = RetryPolicy(attempts: 5, baseMilliseconds: 200, ceilingMilliseconds: 5_000)
    let time: any TimeSource
    let log: Log
    private let knowledge: Lock<Knowledge>

    /// - Parameter remembered: from an earlier mount of the same bucket; nil: found out when first needed.
    public init(
        _ settings: S3Settings, credentials: any CredentialSource, transport: any HTTPSending,
        remembered: S3Capabilities? = nil, time: any TimeSource = SystemTime(), log: Log = .silent
    ) throws(StoreError) {
        name = "s3://\(settings.bucket)"
        self.settings = settings
        self.time = time
        self.log = log
        client = try S3Client(settings, credentials: credentials, transport: transport, time: time, log: log)
        bufferedParts = Gate(limit: settings.bufferedParts)
        knowledge = Lock(remembered.map { .known($0) } ?? .none)
    }

    public func capabilities() async throws(StoreError) -> StoreCapabilities { try await s3Capabilities().store }

    /// In full, to be remembered as text.
    public func s3Capabilities() async throws(StoreError) -> S3Capabilities {
        let asking = knowledge.withLock { knowledge -> Knowledge in
            if case .none = knowledge {
                let probe = CapabilityProbe(self)
                knowledge = .asking(Task { await probe.run() })
            }
            return knowledge
        }
        switch asking {
        case .none: throw StoreError(.unavailable, "probe")
        case .known(let capabilities): return capabilities
        case .asking(let task):
            let result = await task.value
            knowledge.withLock { knowledge in
                guard case .asking(let present) = knowledge, present == task else { return }
                if case .success(let capabilities) = result {
                    knowledge = .known(capabilities)
                } else {
                    knowledge = .none
                }
            }
            return try result.get()
        }
    }

    /// A URL with which anybody can `method` the object for `expiresSeconds` (at most a week). Not for logs.
    public func presignedURL(
        _ method: String, _ key: ByteString, expiresSeconds: Int
    ) async throws(StoreError) -> String {
        try await client.presignedURL(method, key, expiresSeconds: expiresSeconds)
    }

    /// Throws unless the key can be one: 1 to 1024 bytes of UTF-8.
    func check(_ key: ByteString, _ operation: String) throws(StoreError) {
        let problem: String? =
            if key.isEmpty { "a key can't be empty" } else if key.count > 1024 {
                "the key is longer than 1024 bytes"
            } else if key.text == nil { "the key isn't UTF-8" } else { nil }
        if let problem { throw StoreError(.refused, operation, key: key, detail: problem) }
    }

    /// Throws unless an object can be made under the key: what servers and proxies between take for a path that has to
    /// be tidied up can't.
    func checkNew(_ key: ByteString, _ operation: String) throws(StoreError) {
        try check(key, operation)
        let dots: Set<ByteString> = [".", ".."]
        guard !key.bytes.contains(0), !key.split(separator: UInt8(ascii: "/")).contains(where: dots.contains) else {
            throw StoreError(.refused, operation, key: key, detail: "a key can't have NUL, . or .. in it")
        }
    }
}
