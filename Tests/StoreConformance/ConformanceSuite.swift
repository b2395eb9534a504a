import ObjectStore
import Primitives

/// What a store did that the contract of `ObjectStore` doesn't allow.
public struct ConformanceFailure: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// One rule of the contract and how to check it.
public struct ConformanceCase: Sendable, CustomStringConvertible {
    public let name: String
    /// Whether a store of these capabilities has to obey the rule.
    let applies: @Sendable (StoreCapabilities) -> Bool
    let check: @Sendable (Trial) async throws -> Void

    init(
        _ name: String, if applies: @escaping @Sendable (StoreCapabilities) -> Bool = { _ in true },
        check: @escaping @Sendable (Trial) async throws -> Void
    ) {
        self.name = name
        self.applies = applies
        self.check = check
    }

    public var description: String { name }
}

/// The contract of `ObjectStore` as checks, the same for every store. In a test target:
///
///     @Test(arguments: ConformanceSuite.cases) func conforms(_ rule: ConformanceCase) async throws {
///         try await ConformanceSuite(store: store).run(rule)
///     }
///
/// Each case works under a random prefix of its own and removes what it made; cases can run at once on one bucket.
public struct ConformanceSuite: Sendable {
    public static let cases: [ConformanceCase] =
        readingCases + conditionCases + planCases + copyCases + deleteCases + listCases + keyCases + limitCases

    private let store: any ObjectStore
    private let root: ByteString

    /// Works under `root` in the store's bucket.
    public init(store: any ObjectStore, root: ByteString = "pail-conformance/") {
        self.store = store
        self.root = root
    }

    /// Throws what went wrong. Returns at once if the store's capabilities exclude the rule.
    public func run(_ rule: ConformanceCase) async throws {
        let capabilities = try await store.capabilities()
        guard rule.applies(capabilities) else { return }
        let prefix = root + ByteString(String(UInt64.random(in: 1 << 60...UInt64.max), radix: 36) + "/")
        let trial = Trial(store: store, capabilities: capabilities, prefix: prefix)
        do {
            try await rule.check(trial)
        } catch {
            await trial.cleanUp()
            throw ConformanceFailure("\(rule.name): \(error)")
        }
        await trial.cleanUp()
    }
}
