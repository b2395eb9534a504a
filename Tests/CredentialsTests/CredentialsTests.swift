import Foundation
import Testing

@testable import Credentials

@Suite("Credentials") struct CredentialsTests {
    private let secret = "s3cr3t/Key"

    private func withFile(_ content: String, mode: Int = 0o600, _ body: (String) throws -> Void) throws {
        let path = NSTemporaryDirectory() + "pail-credentials-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try #require(FileManager.default.createFile(atPath: path, contents: Data(content.utf8)))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        try body(path)
    }

    private func failure(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch { return "\(error)" }
    }

    @Test func keysNeverShowTheirSecret() {
        let key = AccessKey(id: "AK", secret: secret, sessionToken: "t0ken")
        var dumped = ""
        dump(key, to: &dumped)
        for text in ["\(key)", String(reflecting: key), String(describing: Optional(key)), dumped, "\([key])"] {
            #expect(!text.contains(secret) && !text.contains("t0ken"))
            #expect(text.contains("AK"))
        }
    }

    @Test func environment() throws {
        let both = ["AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": secret]
        #expect(try EnvironmentKeys(Environment(both)).find() == AccessKey(id: "AK", secret: secret))
        let token = both.merging(["AWS_SESSION_TOKEN": "t"]) { $1 }
        #expect(try EnvironmentKeys(Environment(token)).find()?.sessionToken == "t")
        #expect(try EnvironmentKeys(Environment([:])).find() == nil)
        #expect(try EnvironmentKeys(Environment(["AWS_ACCESS_KEY_ID": ""])).find() == nil)
        let half = failure { _ = try EnvironmentKeys(Environment(["AWS_SECRET_ACCESS_KEY": secret])).find() }
        #expect(half?.contains("AWS_ACCESS_KEY_ID is not") == true && half?.contains(secret) == false)
    }

    @Test func passwordFile() throws {
        let content = "# comment\n\n  AK:\(secret) \r\nmine:MK:other\n"
        try withFile(content) { path in
            let general = try PasswordFile(path: path, bucket: "x").find()
            let own = try PasswordFile(path: path, bucket: "mine").find()
            #expect(general == AccessKey(id: "AK", secret: secret))
            #expect(own == AccessKey(id: "MK", secret: "other"))
        }
        #expect(try PasswordFile(path: "/nonexistent/file", bucket: "x").find() == nil)
    }

    @Test(arguments: [0o640, 0o604, 0o644, 0o660, 0o601]) func passwordFileThatOthersRead(_ mode: Int) throws {
        try withFile("AK:\(secret)", mode: mode) { path in
            let message = failure { _ = try PasswordFile(path: path, bucket: "x").find() }
            #expect(message?.contains("chmod 600 \(path)") == true)
        }
    }

    @Test(arguments: ["AK", "AK:", ":s3cr3t/Key", "a:b:c:s3cr3t/Key", "AK s3cr3t/Key"])
    func passwordFileThatIsNone(_ line: String) throws {
        try withFile("ok:ok:ok\n\(line)\n") { path in
            let message = failure { _ = try PasswordFile(path: path, bucket: "x").find() }
            #expect(message?.contains("line 2") == true && message?.contains(secret) == false)
        }
    }

    @Test func directoryIsNoPasswordFile() {
        #expect(failure { _ = try PasswordFile(path: "/tmp", bucket: "x").find() } != nil)
    }

    @Test func profiles() throws {
        let credentials = """
            [default]
            aws_access_key_id = AK
            aws_secret_access_key = \(secret)
            [work]
            aws_access_key_id=WK
            aws_secret_access_key=w
            aws_session_token=t
            [half]
            aws_access_key_id=HK
            """
        let config =
            "[default]\nregion = eu-west-1\n[profile work]\nregion=us-west-2\nendpoint_url = http://h:1\n"
            + "[profile sso]\nsso_session = x\n"
        try withFile(credentials) { credentialsPath in
            try withFile(config, mode: 0o644) { configPath in
                let variables = ["AWS_SHARED_CREDENTIALS_FILE": credentialsPath, "AWS_CONFIG_FILE": configPath]
                let environment = Environment(variables)
                let first = try ProfileFiles(environment: environment).load()
                #expect(first == .init(key: AccessKey(id: "AK", secret: secret), region: "eu-west-1", endpoint: nil))
                let work = try ProfileFiles(
                    environment: Environment(variables.merging(["AWS_PROFILE": "work"]) { $1 })
                ).load()
                let key = AccessKey(id: "WK", secret: "w", sessionToken: "t")
                #expect(work == .init(key: key, region: "us-west-2", endpoint: "http://h:1"))
                let asked = try ProfileFiles(profile: "work", environment: environment).load()
                #expect(asked == work)
                for (name, word) in [("none", "no profile none"), ("half", "only one"), ("sso", "sso_session")] {
                    let message = failure { _ = try ProfileFiles(profile: name, environment: environment).load() }
                    #expect(message?.contains(word) == true)
                }
            }
        }
    }

    @Test func chainSaysWhereItLooked() async throws {
        let home = NSTemporaryDirectory() + "pail-no-home-\(UUID().uuidString)"
        let chain = CredentialChain.aws(environment: Environment(["HOME": home]))
        do {
            _ = try await chain.current()
            Issue.record("found something")
        } catch {
            #expect(error.description.contains("AWS_ACCESS_KEY_ID"))
            #expect(error.description.contains("\(home)/.aws/credentials"))
            #expect(!error.description.contains("\n"))
        }
    }

    @Test func chainTakesTheFirst() async throws {
        let variables = ["AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": secret, "HOME": "/nonexistent"]
        #expect(try await CredentialChain.aws(environment: Environment(variables)).current()?.id == "AK")
        #expect(try await AnonymousCredentials().current() == nil)
        #expect(try await FixedCredentials(AccessKey(id: "F", secret: "")).current()?.id == "F")
    }

    @Test func environmentSettings() {
        #expect(Environment(["AWS_DEFAULT_REGION": "a"]).region == "a")
        #expect(Environment(["AWS_DEFAULT_REGION": "a", "AWS_REGION": "b"]).region == "b")
        #expect(Environment(["AWS_ENDPOINT_URL": "a", "AWS_ENDPOINT_URL_S3": "b"]).endpoint == "b")
    }
}
