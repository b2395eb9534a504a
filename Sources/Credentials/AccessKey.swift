/// A key pair for S3-like stores. No way of printing it shows the secret.
public struct AccessKey: Sendable, Equatable {
    public let id: String
    public let secret: String
    /// Goes with temporary keys (AWS STS).
    public let sessionToken: String?

    public init(id: String, secret: String, sessionToken: String? = nil) {
        self.id = id
        self.secret = secret
        self.sessionToken = sessionToken
    }
}

extension AccessKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The id alone, which is no secret.
    public var description: String { "access key \(id)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["id": id]) }
}
