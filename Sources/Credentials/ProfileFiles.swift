import Parsing

/// The files of the AWS command line and SDKs: `~/.aws/credentials` and `~/.aws/config`
/// (AWS SDKs and Tools Reference Guide, "Shared config and credentials files").
public struct ProfileFiles: CredentialPlace {
    /// What the files say about one profile.
    public struct Profile: Sendable, Equatable {
        public var key: AccessKey?
        public var region: String?
        /// `endpoint_url`.
        public var endpoint: String?
    }

    private let name: String
    /// Whether somebody asked for this profile: then it has to be there.
    private let isAskedFor: Bool
    private let credentialsPath: String?
    private let configPath: String?

    /// - Parameter profile: nil: `AWS_PROFILE`, else `default`.
    public init(profile: String? = nil, environment: Environment = .process) {
        let asked = profile ?? environment["AWS_PROFILE"] ?? environment["AWS_DEFAULT_PROFILE"]
        name = asked ?? "default"
        isAskedFor = asked != nil
        credentialsPath =
            environment["AWS_SHARED_CREDENTIALS_FILE"] ?? environment.home.map { "\($0)/.aws/credentials" }
        configPath = environment["AWS_CONFIG_FILE"] ?? environment.home.map { "\($0)/.aws/config" }
    }

    public var description: String { "profile \(name) in \(places)" }

    private var places: String { [credentialsPath, configPath].compactMap { $0 }.joined(separator: " and ") }

    public func find() throws(CredentialError) -> AccessKey? { try load().key }

    /// The profile; empty if there is none and nobody asked for it by name.
    public func load() throws(CredentialError) -> Profile {
        let credentials = try section(in: credentialsPath, named: [name])
        // In the config file, all but the default profile have a prefix.
        let config = try section(
            in: configPath, named: name == "default" ? [name, "profile default"] : ["profile \(name)"])
        if credentials == nil && config == nil && isAskedFor {
            throw CredentialError("there is no profile \(name) in \(places); see: aws configure list-profiles")
        }
        func value(_ key: String) -> String? {
            let text = credentials?[key] ?? config?[key]
            return text?.isEmpty == true ? nil : text
        }
        var profile = Profile(key: nil, region: value("region"), endpoint: value("endpoint_url"))
        switch (value("aws_access_key_id"), value("aws_secret_access_key")) {
        case (let id?, let secret?):
            profile.key = AccessKey(id: id, secret: secret, sessionToken: value("aws_session_token"))
        case (nil, nil):
            for other in ["role_arn", "sso_session", "sso_start_url", "credential_process", "web_identity_token_file"]
            where value(other) != nil && isAskedFor {
                throw CredentialError(
                    "profile \(name) gets its keys through \(other), which isn't supported; "
                        + "export them instead: eval \"$(aws configure export-credentials --format env)\"")
            }
        default:
            throw CredentialError(
                "profile \(name) in \(places) has only one of aws_access_key_id and aws_secret_access_key; give both")
        }
        return profile
    }

    private func section(in path: String?, named names: [String]) throws(CredentialError) -> [String: String]? {
        guard let path, let file = try SmallFile.read(path) else { return nil }
        let parsed: INIFile
        do { parsed = try INIFile.parse(file.bytes) } catch {
            throw CredentialError("\(path), line \(error.line): \(error.message)")
        }
        for name in names {
            if let section = parsed[name] { return section }
        }
        return nil
    }
}
