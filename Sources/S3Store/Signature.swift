import Credentials
import Cryptography
import Parsing
import Primitives

/// What AWS Signature Version 4 is computed over ("Authenticating Requests (AWS Signature Version 4)", Amazon S3 API
/// Reference). A value: the same request, key and time give the same signature.
struct CanonicalRequest: Sendable {
    static let emptyPayloadHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    static let unsignedPayload = "UNSIGNED-PAYLOAD"

    var method: String
    /// Percent-encoded once, as it is sent.
    var path: String
    /// Names and values not encoded yet.
    var query: [(name: String, value: ByteString)]
    /// All of these are signed; `host` has to be among them.
    var headers: [(name: String, value: String)]
    /// SHA-256 of the body in hexadecimal, or `UNSIGNED-PAYLOAD`.
    var payloadHash: String

    /// Sorted and percent-encoded, as it is signed and as it can be sent.
    var queryString: String { Self.encoded(query).map { "\($0.name)=\($0.value)" }.joined(separator: "&") }

    private static func encoded(_ query: [(name: String, value: ByteString)]) -> [(name: String, value: String)] {
        let pairs = query.map { pair in
            (
                name: PercentEncoding.encode(Array(pair.name.utf8), keepSlash: false),
                value: PercentEncoding.encode(pair.value.bytes, keepSlash: false)
            )
        }
        return pairs.sorted { ($0.name, $0.value) < ($1.name, $1.value) }
    }

    private var sortedHeaders: [(name: String, value: String)] {
        headers.map { (name: $0.name.lowercased(), value: Self.trimmed($0.value)) }.sorted { $0.name < $1.name }
    }

    var signedHeaders: String { sortedHeaders.map(\.name).joined(separator: ";") }

    var text: String {
        let lines = sortedHeaders.map { "\($0.name):\($0.value)\n" }.joined()
        return "\(method)\n\(path)\n\(queryString)\n\(lines)\n\(signedHeaders)\n\(payloadHash)"
    }

    /// Without spaces around, runs of spaces within as one.
    private static func trimmed(_ value: String) -> String {
        value.utf8.contains(0x20) ? value.split(separator: " ").joined(separator: " ") : value
    }
}

/// Signs for one key, region and service; the key derived for a day is kept. Safe from any thread.
final class Signer: Sendable {
    private struct Derived {
        var scope: String
        var secret: String
        var key: [UInt8]
    }

    private let service: String
    private let derived = Lock(Derived?.none)

    init(service: String = "s3") { self.service = service }

    /// The value of the Authorization header. `request.headers` holds `x-amz-date` with the same time.
    func authorization(_ request: CanonicalRequest, key: AccessKey, region: String, time: String) -> String {
        let scope = scope(region: region, time: time)
        let signature = signature(of: request.text, scope: scope, key: key, region: region, time: time)
        return "AWS4-HMAC-SHA256 Credential=\(key.id)/\(scope),SignedHeaders=\(request.signedHeaders),"
            + "Signature=\(signature)"
    }

    /// The query string of a presigned URL: the request's own query, the signature's parameters and the signature.
    func presignedQuery(
        _ request: CanonicalRequest, key: AccessKey, region: String, time: String, expiresSeconds: Int
    ) -> String {
        let scope = scope(region: region, time: time)
        var request = request
        request.payloadHash = CanonicalRequest.unsignedPayload
        request.query += [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"), ("X-Amz-Credential", ByteString("\(key.id)/\(scope)")),
            ("X-Amz-Date", ByteString(time)), ("X-Amz-Expires", ByteString(String(expiresSeconds))),
            ("X-Amz-SignedHeaders", ByteString(request.signedHeaders)),
        ]
        if let token = key.sessionToken { request.query.append(("X-Amz-Security-Token", ByteString(token))) }
        let signature = signature(of: request.text, scope: scope, key: key, region: region, time: time)
        return "\(request.queryString)&X-Amz-Signature=\(signature)"
    }

    private func scope(region: String, time: String) -> String {
        "\(time.prefix(8))/\(region)/\(service)/aws4_request"
    }

    private func signature(of text: String, scope: String, key: AccessKey, region: String, time: String) -> String {
        let hash = Hexadecimal.encode(SHA256.hash(Array(text.utf8)))
        let message = "AWS4-HMAC-SHA256\n\(time)\n\(scope)\n\(hash)"
        let signingKey = signingKey(key, scope: scope, region: region, day: String(time.prefix(8)))
        return Hexadecimal.encode(HMAC.sha256(key: signingKey, message: Array(message.utf8)))
    }

    private func signingKey(_ key: AccessKey, scope: String, region: String, day: String) -> [UInt8] {
        let known = derived.withLock { $0 }
        if let known, known.scope == scope, known.secret == key.secret { return known.key }
        var bytes = Array("AWS4\(key.secret)".utf8)
        for part in [day, region, service, "aws4_request"] {
            bytes = HMAC.sha256(key: bytes, message: Array(part.utf8))
        }
        let made = Derived(scope: scope, secret: key.secret, key: bytes)
        derived.withLock { $0 = made }
        return made.key
    }
}
