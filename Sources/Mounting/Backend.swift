import Configuration
import Credentials
import Glibc
import HTTPTransport
import Layers
import LocalStore
import ObjectStore
import Primitives
import S3Store
import Telemetry

/// The bucket of a mount: its store and the layers around it.
struct Backend: Sendable {
    /// What the mount uses: with every layer.
    let store: any ObjectStore
    /// Counts what goes to and comes from the bucket.
    let meter = StoreMeter()
    /// Without retries, for questions that should be answered soon.
    let plain: any ObjectStore
    let transport: HTTPTransport?
    private let s3: S3Store?

    /// - Parameter cache: where what was found out about the bucket is remembered; nil: found out anew.
    init(_ configuration: MountConfiguration, cache: CacheDirectory?, log: Log) throws(MountFailure) {
        let base: any ObjectStore
        var prefix = ""
        do {
            switch configuration.bucket {
            case .local(let path)?:
                transport = nil
                s3 = nil
                base = LocalStore(path: path)
            case .s3(let bucket, let part)?:
                let sender = HTTPTransport(Self.transportSettings(configuration), log: log)
                transport = sender
                let store = try S3Store(
                    Self.settings(configuration, bucket: bucket), credentials: Self.credentials(configuration),
                    transport: sender, remembered: Self.remembered(configuration, cache), log: log)
                s3 = store
                base = store
                prefix = part
            case nil: throw MountFailure(.usage, "which bucket?")
            }
        } catch let error as StoreError {
            throw Self.failure(error, configuration)
        } catch let error as MountFailure {
            throw error
        } catch {
            throw MountFailure(.bucket, "\(error)")
        }
        let metered = Metered(base, meter: meter)
        let whole: any ObjectStore = configuration.hedge ? Hedged(metered, meter: meter) : metered
        let placed = prefix.isEmpty ? whole : Prefixed(whole, prefix: ByteString(prefix))
        plain = placed
        let longest = s3 == nil ? LocalStore.maximumKeyBytes : StoreCapabilities().maximumKeyBytes - prefix.utf8.count
        store = Retrying(LongKeys(placed, maximumKeyBytes: longest), log: log)
    }

    /// Finding out what a service can do writes to the bucket, which a read-only mount doesn't.
    private static func remembered(_ configuration: MountConfiguration, _ cache: CacheDirectory?) -> S3Capabilities? {
        if configuration.readOnly { return .cautious }
        return cache.flatMap { SmallFile.read($0.capabilities) }.flatMap(S3Capabilities.init(text:))
    }

    /// Finds out what the service can do, unless it is known, and notes it for the next mount.
    func learnCapabilities(_ configuration: MountConfiguration, _ cache: CacheDirectory) async {
        guard !configuration.readOnly, let s3, access(cache.capabilities, F_OK) != 0 else { return }
        guard let found = try? await s3.s3Capabilities() else { return }
        try? SmallFile.write(found.text, to: cache.capabilities)
    }

    /// What unfinished uploads of this or another client have left is removed when it is older than this.
    private static let leftoverMilliseconds: Int64 = 7 * 86_400_000

    func removeLeftovers(_ configuration: MountConfiguration, log: Log) async {
        guard !configuration.readOnly else { return }
        do {
            let count = try await store.removeLeftovers(olderThanMilliseconds: Self.leftoverMilliseconds)
            if count > 0 { log.info("mount", "removed \(count) unfinished uploads older than a week") }
        } catch {
            log.debug("mount", "unfinished uploads can't be looked for: \(error)")
        }
    }

    func shutdown() { transport?.shutdown() }

    /// Asks the bucket for one key: wrong credentials, a missing bucket and an unreachable service show here.
    func check(_ configuration: MountConfiguration) async throws(MountFailure) {
        if case .s3? = configuration.bucket {
            do {
                _ = try await Self.credentials(configuration).current()
            } catch {
                throw MountFailure(.bucket, "\(configuration.bucket?.description ?? ""): credentials: \(error)")
            }
        }
        let policy = RetryPolicy(attempts: 3, baseMilliseconds: 200, ceilingMilliseconds: 1_000)
        var generator = SystemRandomNumberGenerator()
        var attempt = 0
        while true {
            do {
                _ = try await plain.list(prefix: "", delimited: true, from: nil, limit: 1)
                return
            } catch {
                attempt += 1
                guard error.isTransient, attempt < policy.attempts else { throw Self.failure(error, configuration) }
                let pause = policy.delayMilliseconds(attempt: attempt, using: &generator)
                await SystemTime().sleep(milliseconds: pause)
            }
        }
    }

    /// Where credentials are looked for, in order.
    static func credentialPlaces(_ configuration: MountConfiguration) -> [any CredentialPlace] {
        if let file = configuration.passwordFile, case .s3(let bucket, _)? = configuration.bucket {
            return [PasswordFile(path: file, bucket: bucket)]
        }
        let files = ProfileFiles(profile: configuration.profile)
        // A profile that was asked for by name outranks keys that happen to be in the environment.
        return configuration.profile == nil ? [EnvironmentKeys(), files] : [files]
    }

    private static func credentials(_ configuration: MountConfiguration) -> any CredentialSource {
        configuration.anonymous ? AnonymousCredentials() : CredentialChain(credentialPlaces(configuration))
    }

    static func transportSettings(_ configuration: MountConfiguration) -> HTTPSettings {
        var settings = HTTPSettings()
        settings.userAgent = "pail/\(Version.current)"
        settings.proxy = configuration.proxy
        settings.caFile = configuration.tls.caFile
        settings.verifyTLS = configuration.tls.verify
        return settings
    }

    private static func settings(_ configuration: MountConfiguration, bucket: String) -> S3Settings {
        let surroundings = Environment.process
        let profile = try? ProfileFiles(profile: configuration.profile).load()
        var settings = S3Settings(
            bucket: bucket, region: configuration.region ?? surroundings.region ?? profile?.region,
            endpoint: configuration.endpoint ?? surroundings.endpoint ?? profile?.endpoint)
        switch configuration.pathStyle {
        case .auto: settings.addressing = .auto
        case .true: settings.addressing = .path
        case .false: settings.addressing = .virtualHost
        }
        settings.stallMilliseconds = configuration.requestTimeoutMilliseconds
        return settings
    }

    /// The endpoint that the configuration, the environment or the profile names; nil: Amazon's, or no service at all.
    static func givenEndpoint(_ configuration: MountConfiguration) -> String? {
        guard case .s3(let bucket, _)? = configuration.bucket else { return nil }
        return settings(configuration, bucket: bucket).endpoint
    }

    /// Where requests go, for people and for checks of the network.
    static func endpoint(_ configuration: MountConfiguration) -> String? {
        guard case .s3(let bucket, _)? = configuration.bucket else { return nil }
        let settings = settings(configuration, bucket: bucket)
        return settings.endpoint ?? "https://s3.\(settings.region ?? "us-east-1").amazonaws.com"
    }

    /// What a store's error means for somebody who wants to mount, and what to do.
    static func failure(_ error: StoreError, _ configuration: MountConfiguration) -> MountFailure {
        let name = configuration.bucket?.description ?? "the bucket"
        let said = error.detail.isEmpty ? "" : " (\(error.detail))"
        let place = endpoint(configuration).map { " at \($0)" } ?? ""
        switch error.kind {
        case .unauthenticated:
            // The store may know better what to look at.
            let advice = said.contains("check") ? "" : ": check the key and the clock"
            return MountFailure(.bucket, "\(name): the credentials are not accepted\(place)\(said)\(advice)")
        case .accessDenied:
            return MountFailure(.bucket, "\(name): no permission to \(error.operation)\(said): ask the bucket's owner")
        case .noBucket, .notFound:
            return MountFailure(
                .bucket, "\(name) does not exist\(place)\(said): check the name, or create it")
        case .unavailable, .timedOut, .throttled:
            return MountFailure(
                .bucket, "\(name) can't be reached\(place)\(said): check the endpoint and the network")
        default: return MountFailure(.bucket, "\(name): \(error)")
        }
    }
}
