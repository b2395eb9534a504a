import HTTPTransport
import ObjectStore
import Parsing
import Primitives

/// What a server says when it refuses ("Error Responses", Amazon S3 API Reference). Answers to HEAD have no body.
struct S3Refusal: Sendable, Equatable {
    var status: Int
    var code: String?
    var message: String?
    var region: String?
    var retryAfterMilliseconds: Int64?

    /// The longest message of a server that is passed on.
    private static let maximumMessageCharacters = 300

    init(status: Int, code: String? = nil, message: String? = nil) {
        self.status = status
        self.code = code
        self.message = message
    }

    init(_ response: HTTPResponse) {
        status = response.status
        if let document = try? XMLElement.parse(response.body) { read(document) }
        region = response.header("x-amz-bucket-region") ?? region
        if let seconds = response.header("retry-after").flatMap({ Int64($0) }), seconds >= 0 {
            retryAfterMilliseconds = min(seconds, 86_400) * 1000
        }
    }

    /// An `Error` document in an answer that said 200.
    init(_ error: XMLElement) {
        status = 200
        read(error)
    }

    private mutating func read(_ document: XMLElement) {
        guard document.name == "Error" else { return }
        code = document["Code"]?.text
        message = (document["Message"]?.text).map { String($0.prefix(Self.maximumMessageCharacters)) }
        region = document["Region"]?.text ?? document["Endpoint"].flatMap { Self.region(ofHost: $0.text) }
    }

    /// `bucket.s3.eu-west-1.amazonaws.com` or `bucket.s3-eu-west-1.amazonaws.com`.
    static func region(ofHost host: String) -> String? {
        let labels = host.split(separator: ".")
        for (index, label) in labels.enumerated() {
            if label == "s3", index + 1 < labels.count, labels[index + 1].contains("-") {
                return String(labels[index + 1])
            }
            if label.hasPrefix("s3-") { return String(label.dropFirst(3)) }
        }
        return nil
    }

    func error(_ operation: String, _ key: ByteString?) -> StoreError {
        let said = [code, message].compactMap { $0 }.joined(separator: ": ")
        let text = said.isEmpty ? "the server answered \(status)" : said
        return StoreError(
            kind, operation, key: key, detail: remedy.map { "\(text) (\($0))" } ?? text,
            retryAfterMilliseconds: retryAfterMilliseconds)
    }

    var kind: StoreError.Kind { code.flatMap { Self.kinds[$0] } ?? statusKind }

    private var statusKind: StoreError.Kind {
        switch status {
        // A code that nobody knows, where the status said success.
        case 200: .unavailable
        case 304, 412: .conditionFailed
        case 401: .unauthenticated
        case 403: .accessDenied
        case 404: .notFound
        case 405, 501: .unsupported
        case 408: .timedOut
        case 409: code == nil ? .throttled : .refused
        case 429, 503: .throttled
        case 507: .outOfSpace
        case 500...599: .unavailable
        default: .refused
        }
    }

    private var remedy: String? {
        switch code {
        case "RequestTimeTooSkewed": "set this machine's clock"
        case "InvalidAccessKeyId", "SignatureDoesNotMatch": "check the credentials"
        case "ExpiredToken", "TokenRefreshRequired": "renew the credentials"
        default: status == 301 && region == nil ? "check the endpoint and the region" : nil
        }
    }

    private static let kinds: [String: StoreError.Kind] = [
        "NoSuchKey": .notFound, "NoSuchVersion": .notFound, "NoSuchBucket": .noBucket,
        // The upload was aborted or completed by somebody else: begin again.
        "NoSuchUpload": .unavailable,
        "PreconditionFailed": .conditionFailed, "NotModified": .conditionFailed,
        "AccessDenied": .accessDenied, "AllAccessDisabled": .accessDenied, "AccountProblem": .accessDenied,
        "InvalidAccessKeyId": .unauthenticated, "SignatureDoesNotMatch": .unauthenticated,
        "ExpiredToken": .unauthenticated, "InvalidToken": .unauthenticated, "TokenRefreshRequired": .unauthenticated,
        "RequestTimeTooSkewed": .unauthenticated, "RequestExpired": .unauthenticated,
        "AuthorizationHeaderMalformed": .unauthenticated, "MissingSecurityHeader": .unauthenticated,
        "ConditionalRequestConflict": .throttled, "OperationAborted": .throttled, "SlowDown": .throttled,
        "SlowDownRead": .throttled, "SlowDownWrite": .throttled, "ServiceUnavailable": .throttled,
        "Throttling": .throttled, "ThrottlingException": .throttled, "TooManyRequests": .throttled,
        "RequestLimitExceeded": .throttled,
        "InternalError": .unavailable, "IncompleteBody": .unavailable, "RequestTimeout": .timedOut,
        "BadDigest": .corrupt, "XAmzContentSHA256Mismatch": .corrupt, "XAmzContentChecksumMismatch": .corrupt,
        "ChecksumMismatch": .corrupt,
        "EntityTooLarge": .refused, "EntityTooSmall": .refused, "KeyTooLongError": .refused,
        "MetadataTooLarge": .refused,
        "NotImplemented": .unsupported, "MethodNotAllowed": .unsupported,
        "QuotaExceeded": .outOfSpace, "InsufficientStorage": .outOfSpace, "XMinioStorageFull": .outOfSpace,
    ]
}

extension StoreError {
    /// A request that got no answer.
    init(_ error: HTTPError, _ operation: String, _ key: ByteString?) {
        let kind: Kind =
            switch error {
            case .cancelled, .sourceFailed, .receiverFailed: .cancelled
            case .timedOut: .timedOut
            case .bodyTooLarge, .invalidRequest: .refused
            case .resolve, .connect, .tls, .broken: .unavailable
            }
        self.init(kind, operation, key: key, detail: error.description)
    }
}
