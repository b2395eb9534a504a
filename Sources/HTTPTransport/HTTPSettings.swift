import CCurl
import Glibc

/// How a transport behaves, for all of its requests.
public struct HTTPSettings: Sendable {
    /// Most connections to one host, idle ones included.
    public var connectionsPerHost = 32
    /// Most requests under way; more wait in order.
    public var concurrentRequests = 128
    /// Threads that move bytes. One is enough up to about 10,000 small requests a second.
    public var loops = 2
    public var userAgent = "pail/0.1.0"
    /// As curl's `--proxy`; "" for none; nil for what `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` say.
    public var proxy: String?
    /// Trusted certificates, a PEM file; nil for CURL_CA_BUNDLE, SSL_CERT_FILE, or the system's.
    public var caFile: String?
    /// Trusted certificates, a directory hashed by c_rehash; nil for SSL_CERT_DIR, or the system's.
    public var caPath: String?
    /// False accepts any certificate: for tests.
    public var verifyTLS = true
    /// The longest body of an answer, in bytes.
    public var maximumBodyBytes = 64 << 20
    /// Receive and send buffer of a large transfer, in bytes (16 KiB to 512 KiB).
    public var bufferBytes = 512 << 10

    /// What receivers are given at a time, in bytes.
    public var pieceBytes = 256 << 10

    public init() {}
}

/// Which certificates to trust, looked up once, in the order of the curl tool (curl(1), ENVIRONMENT).
struct TrustAnchors: Sendable {
    let file: String?
    let path: String?
    /// Whether curl's built-in directory is to be switched off: curl keeps parsed certificates for the next connection
    /// only if they come from a file alone, and parsing the system's takes milliseconds.
    let fileAlone: Bool

    init(_ settings: HTTPSettings) {
        var file = settings.caFile
        var path = settings.caPath
        if file == nil && path == nil {
            file = Self.environment("CURL_CA_BUNDLE")
            if file == nil {
                path = Self.environment("SSL_CERT_DIR")
                file = Self.environment("SSL_CERT_FILE")
            }
        }
        self.file = file
        self.path = path
        fileAlone = path == nil && (file != nil || Self.builtInFileIsReadable)
    }

    private static func environment(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    private static var builtInFileIsReadable: Bool {
        guard let file = pail_curl_default_ca_file() else { return false }
        return access(file, R_OK) == 0
    }
}
