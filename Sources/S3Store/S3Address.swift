import Parsing
import Primitives

/// How keys become URLs. A value; the region is the only thing that may have to be learnt.
struct S3Address: Sendable, Equatable {
    /// What AWS signs for when nobody says which region it is.
    static let defaultRegion = "us-east-1"

    let bucket: String
    let isTLS: Bool
    let isAWS: Bool
    let region: String
    private let endpointHost: String
    private let endpointPath: String
    private let isVirtualHost: Bool

    /// nil if the endpoint is none.
    init?(_ settings: S3Settings, region learnt: String? = nil) {
        bucket = settings.bucket
        region = learnt ?? settings.region ?? Self.defaultRegion
        if let endpoint = settings.endpoint {
            guard let parts = Self.split(endpoint) else { return nil }
            (isTLS, endpointHost, endpointPath) = parts
            isAWS = false
        } else {
            (isTLS, endpointPath) = (true, "")
            endpointHost = "s3.\(region).amazonaws.com\(region.hasPrefix("cn-") ? ".cn" : "")"
            isAWS = true
        }
        isVirtualHost =
            switch settings.addressing {
            case .path: false
            case .virtualHost: true
            // A certificate for *.host doesn't cover names with more dots.
            case .auto: isAWS && !bucket.contains(".")
            }
    }

    /// The value of the Host header, with the port unless it is the scheme's own.
    var host: String { isVirtualHost ? "\(bucket).\(endpointHost)" : endpointHost }

    /// The path of the bucket (nil key) or of an object, percent-encoded as it is signed and sent.
    func path(_ key: ByteString?) -> String {
        var path = endpointPath
        if !isVirtualHost { path += "/" + PercentEncoding.encode(Array(bucket.utf8), keepSlash: false) }
        if let key { path += "/" + PercentEncoding.encode(key.bytes, keepSlash: true) }
        return path.isEmpty ? "/" : path
    }

    var origin: String { "\(isTLS ? "https" : "http")://\(host)" }

    /// The value of x-amz-copy-source.
    func copySource(_ key: ByteString) -> String {
        PercentEncoding.encode(Array(bucket.utf8), keepSlash: false) + "/"
            + PercentEncoding.encode(key.bytes, keepSlash: true)
    }

    /// Scheme (https if there is none), host with port unless it is the default, path without a slash at its end.
    private static func split(_ endpoint: String) -> (isTLS: Bool, host: String, path: String)? {
        var rest = Substring(endpoint)
        var isTLS = true
        if rest.lowercased().hasPrefix("https://") {
            rest = rest.dropFirst(8)
        } else if rest.lowercased().hasPrefix("http://") {
            rest = rest.dropFirst(7)
            isTLS = false
        } else if rest.contains("://") {
            return nil
        }
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        var host = rest[..<slash].lowercased()
        var path = String(rest[slash...])
        while path.hasSuffix("/") { path.removeLast() }
        let defaultPort = isTLS ? ":443" : ":80"
        if host.hasSuffix(defaultPort) { host.removeLast(defaultPort.count) }
        let isPlain = host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && !"@?#%\\".utf8.contains($0) }
        guard !host.isEmpty, isPlain, !path.contains("?"), !path.contains("#") else { return nil }
        return (isTLS, host, path)
    }
}
