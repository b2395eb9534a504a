import Primitives

/// Why there are no credentials: one line that says what is wrong, where, and what to do. Never a secret.
public struct CredentialError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// Where the credentials of a mount come from. Asked before every request, so answers are cheap; keys that are
/// exchanged while a mount runs are picked up.
public protocol CredentialSource: Sendable {
    /// The key pair to use now; nil: none, requests go out unsigned.
    func current() async throws(CredentialError) -> AccessKey?
}

/// Always the same key pair.
public struct FixedCredentials: CredentialSource {
    private let key: AccessKey
    public init(_ key: AccessKey) { self.key = key }
    public func current() async throws(CredentialError) -> AccessKey? { key }
}

/// Unsigned requests, for public buckets.
public struct AnonymousCredentials: CredentialSource {
    public init() {}
    public func current() async throws(CredentialError) -> AccessKey? { nil }
}

/// A place where a key pair may be.
public protocol CredentialPlace: Sendable, CustomStringConvertible {
    /// The key pair there, nil if there is none. Throws if what is there can't be used: then nobody looks further.
    func find() throws(CredentialError) -> AccessKey?
}

/// Looks in one place after the other; the first key pair found is used, and looked for again after `lifeMilliseconds`.
public final class CredentialChain: CredentialSource {
    private struct Found {
        var key: AccessKey
        var time: Timestamp
    }

    private let places: [any CredentialPlace]
    private let time: any TimeSource
    private let lifeMilliseconds: Int64
    private let found = Lock(Found?.none)

    public init(_ places: [any CredentialPlace], time: any TimeSource = SystemTime(), lifeMilliseconds: Int64 = 15_000)
    {
        self.places = places
        self.time = time
        self.lifeMilliseconds = lifeMilliseconds
    }

    /// The environment, then the AWS profile files.
    public static func aws(profile: String? = nil, environment: Environment = .process) -> CredentialChain {
        let files = ProfileFiles(profile: profile, environment: environment)
        // A profile that was asked for by name outranks keys that happen to be in the environment.
        return profile == nil ? CredentialChain([EnvironmentKeys(environment), files]) : CredentialChain([files])
    }

    /// Throws, saying where it looked, if no place has a key pair.
    public func current() async throws(CredentialError) -> AccessKey? {
        let now = time.monotonic()
        let known = found.withLock { $0 }
        if let known, now.milliseconds(since: known.time) < lifeMilliseconds { return known.key }
        for place in places {
            guard let key = try place.find() else { continue }
            found.withLock { $0 = Found(key: key, time: now) }
            return key
        }
        let looked = places.map { String(describing: $0) }.joined(separator: "; ")
        throw CredentialError(
            "no credentials found (looked in: \(looked)); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, write them "
                + "to a file named there, or say that requests are anonymous")
    }
}
