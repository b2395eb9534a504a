import CCurl

/// Why a request has no answer. The texts are for people and hold no credentials.
public enum HTTPError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The task was cancelled, or the transport is shut down.
    case cancelled
    /// The host's (or the proxy's) name is not known.
    case resolve(String)
    /// No connection in time, or refused, or lost before the request was sent.
    case connect(String)
    /// The server's certificate is not trusted, or there is no common TLS version.
    case tls(String)
    /// The stall or total time-out passed after the request had gone out.
    case timedOut(String)
    /// The connection was lost midway, or what came isn't HTTP.
    case broken(String)
    /// The answer's body is longer than `HTTPSettings.maximumBodyBytes`.
    case bodyTooLarge
    /// The request's body source gave up.
    case sourceFailed
    /// The answer's receiver gave up.
    case receiverFailed
    /// This can't be sent (a method, URL or header that is none).
    case invalidRequest(String)

    /// Whether the server may have carried the request out.
    public var mayHaveHappened: Bool {
        switch self {
        case .cancelled, .timedOut, .broken, .bodyTooLarge, .receiverFailed: true
        case .resolve, .connect, .tls, .sourceFailed, .invalidRequest: false
        }
    }

    public var description: String {
        switch self {
        case .cancelled: "cancelled"
        case .resolve(let text): "name not found: \(text)"
        case .connect(let text): "no connection: \(text)"
        case .tls(let text): "TLS: \(text)"
        case .timedOut(let text): "timed out: \(text)"
        case .broken(let text): "connection broken: \(text)"
        case .bodyTooLarge: "the answer is too large"
        case .sourceFailed: "the body could not be read"
        case .receiverFailed: "the answer could not be stored"
        case .invalidRequest(let text): "invalid request: \(text)"
        }
    }

    /// - Parameter wasSent: whether the request had begun to go out; before that, nothing can have happened.
    init(_ code: CURLcode, _ text: String, wasSent: Bool) {
        if wasSent {
            self = code == CURLE_OPERATION_TIMEDOUT ? .timedOut(text) : .broken(text)
            return
        }
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: self = .resolve(text)
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
            CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_ENGINE_NOTFOUND:
            self = .tls(text)
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL, CURLE_BAD_FUNCTION_ARGUMENT:
            self = .invalidRequest(text)
        default: self = .connect(text)
        }
    }
}
