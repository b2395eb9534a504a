import Credentials
import Foundation
import HTTPTransport
import ObjectStore
import Primitives
import Telemetry

@testable import S3Store

/// A real server that `scripts/with-servers` has started.
struct TestServer: Sendable, CustomStringConvertible {
    let name: String
    let endpoint: String
    let key: AccessKey

    /// Those that the environment names.
    static let all: [TestServer] = ["MINISTACK", "SEAWEEDFS", "RCLONE", "CEPH"].compactMap { name in
        let environment = ProcessInfo.processInfo.environment
        guard let endpoint = environment["PAIL_TEST_\(name)"],
            let id = environment["PAIL_TEST_\(name)_KEY"] ?? environment["PAIL_TEST_KEY"],
            let secret = environment["PAIL_TEST_\(name)_SECRET"] ?? environment["PAIL_TEST_SECRET"]
        else { return nil }
        return TestServer(name: name.lowercased(), endpoint: endpoint, key: AccessKey(id: id, secret: secret))
    }

    static let note = "no server: run scripts/with-servers ministack seaweedfs rclone -- swift test"

    var description: String { name }

    func store(
        _ bucket: String, key: AccessKey? = nil, remembered: S3Capabilities? = nil, time: any TimeSource = SystemTime()
    ) throws -> S3Store {
        let settings = S3Settings(bucket: bucket, endpoint: endpoint)
        return try S3Store(
            settings, credentials: FixedCredentials(key ?? self.key), transport: Buckets.transport,
            remembered: remembered, time: time, log: Log(level: .warning, sink: .standardError))
    }

    /// rclone now and then fails with an internal error where directories come and go at once, and overwrites in place, so
    /// that a reader's connection breaks: how often a rule is tried.
    var attempts: Int { name == "rclone" ? 4 : 1 }

    /// A store on a bucket made for this run, the same one for all tests of a server.
    func sharedStore() async throws -> S3Store { try await Buckets.shared.store(self) }
}

/// The buckets made for this run, one per server.
actor Buckets {
    static let shared = Buckets()
    static let transport = HTTPTransport()

    private var stores: [String: Task<S3Store, any Error>] = [:]

    func store(_ server: TestServer) async throws -> S3Store {
        if let known = stores[server.name] { return try await known.value }
        let task = Task { try await Self.make(server) }
        stores[server.name] = task
        return try await task.value
    }

    static func make(_ server: TestServer) async throws -> S3Store {
        let store = try server.store("pail-test-\(UInt32.random(in: .min ... .max))")
        _ = try await store.client.send(S3Request("make bucket", "PUT", nil))
        return store
    }
}

/// A clock that is wrong.
struct WrongTime: TimeSource {
    var offsetMilliseconds: Int64
    func now() -> Timestamp { SystemTime().now().adding(milliseconds: offsetMilliseconds) }
    func monotonic() -> Timestamp { SystemTime().monotonic() }
    func sleep(milliseconds: Int64) async { await SystemTime().sleep(milliseconds: milliseconds) }
}
