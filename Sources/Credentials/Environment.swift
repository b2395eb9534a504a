import Glibc

/// Environment variables: the process's, or a test's.
public struct Environment: Sendable {
    private let fixed: [String: String]?

    public static let process = Environment(fixed: nil)
    public init(_ variables: [String: String]) { self.init(fixed: variables) }
    private init(fixed: [String: String]?) { self.fixed = fixed }

    /// The variable's value; nil if it is unset or empty.
    public subscript(name: String) -> String? {
        let value = fixed.map { $0[name] } ?? getenv(name).map { String(cString: $0) }
        return value?.isEmpty == true ? nil : value
    }

    /// The home directory: `HOME`, else what the user database says.
    var home: String? {
        self["HOME"] ?? (fixed == nil ? getpwuid(getuid()).map { String(cString: $0.pointee.pw_dir) } : nil)
    }

    /// `AWS_REGION`, else `AWS_DEFAULT_REGION`.
    public var region: String? { self["AWS_REGION"] ?? self["AWS_DEFAULT_REGION"] }

    /// `AWS_ENDPOINT_URL_S3`, else `AWS_ENDPOINT_URL`.
    public var endpoint: String? { self["AWS_ENDPOINT_URL_S3"] ?? self["AWS_ENDPOINT_URL"] }
}

/// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`.
public struct EnvironmentKeys: CredentialPlace {
    private let environment: Environment

    public init(_ environment: Environment = .process) { self.environment = environment }

    public var description: String { "the environment's AWS_ACCESS_KEY_ID" }

    public func find() throws(CredentialError) -> AccessKey? {
        let id = environment["AWS_ACCESS_KEY_ID"]
        let secret = environment["AWS_SECRET_ACCESS_KEY"]
        switch (id, secret) {
        case (nil, nil): return nil
        case (let id?, let secret?):
            return AccessKey(id: id, secret: secret, sessionToken: environment["AWS_SESSION_TOKEN"])
        case (nil, _):
            throw CredentialError("AWS_SECRET_ACCESS_KEY is set but AWS_ACCESS_KEY_ID is not; set both or neither")
        case (_, nil):
            throw CredentialError("AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not; set both or neither")
        }
    }
}
