import Credentials
import Cryptography
import HTTPTransport
import ObjectStore
import Parsing
import Primitives
import Telemetry

/// Signs and sends requests to one bucket, learning its region and the server's clock. Safe from any thread.
final class S3Client: Sendable {
    private struct State {
        var address: S3Address
        /// What has to be added to our clock to get the server's.
        var clockOffsetMilliseconds: Int64 = 0
    }

    /// How often one request is sent again because its address or time was wrong.
    private static let maximumCorrections = 3
    /// AWS accepts 15 minutes.
    private static let toleratedSkewMilliseconds: Int64 = 300_000
    /// Bodies in memory up to this are signed even over TLS.
    private static let signedBodyBytes = 64 << 10

    private let settings: S3Settings
    private let credentials: any CredentialSource
    private let transport: any HTTPSending
    private let time: any TimeSource
    private let log: Log
    private let signer = Signer()
    private let gate: Gate
    private let state: Lock<State>

    init(
        _ settings: S3Settings, credentials: any CredentialSource, transport: any HTTPSending, time: any TimeSource,
        log: Log
    ) throws(StoreError) {
        guard let address = S3Address(settings) else {
            throw StoreError(
                .refused, "open bucket",
                detail: "the endpoint \(settings.endpoint ?? "") is not [http[s]://]host[:port]")
        }
        self.settings = settings
        self.credentials = credentials
        self.transport = transport
        self.time = time
        self.log = log
        gate = Gate(limit: settings.concurrentRequests)
        state = Lock(State(address: address))
    }

    var address: S3Address { state.withLock { $0.address } }

    /// Returns answers of status 2xx and those the request accepts; all others are thrown.
    func send(_ request: S3Request) async throws(StoreError) -> HTTPResponse {
        var corrections = 0
        while true {
            let (address, time) = addressAndTime()
            let message = try await message(for: request, to: address, at: time)
            let response = try await exchange(message, request)
            if (200..<300).contains(response.status) || request.accepted.contains(response.status) { return response }
            let refusal = S3Refusal(response)
            corrections += 1
            if corrections <= Self.maximumCorrections, learn(from: refusal, response, address, time) { continue }
            if response.wasRepeated, refusal.kind == .conditionFailed, request.method != "GET", request.method != "HEAD"
            {
                throw StoreError(
                    .unavailable, request.operation, key: request.key,
                    detail: "the connection broke; the request may have been carried out")
            }
            throw refusal.error(request.operation, request.key)
        }
    }

    /// Sends, and reads the answer as XML. An `Error` document that comes with status 200 is thrown.
    func document(_ request: S3Request) async throws(StoreError) -> XMLElement {
        let response = try await send(request)
        let document: XMLElement
        do { document = try XMLElement.parse(response.body) } catch {
            throw StoreError(.corrupt, request.operation, key: request.key, detail: "the answer isn't XML")
        }
        if document.name == "Error" { throw S3Refusal(document).error(request.operation, request.key) }
        return document
    }

    /// A URL that lets whoever has it do one thing for a while. Not for logs.
    func presignedURL(_ method: String, _ key: ByteString, expiresSeconds: Int) async throws(StoreError) -> String {
        let (address, time) = addressAndTime()
        let url = "\(address.origin)\(address.path(key))"
        guard let accessKey = try await accessKey(S3Request("presign", method, key)) else { return url }
        let canonical = CanonicalRequest(
            method: method, path: address.path(key), query: [], headers: [("host", address.host)],
            payloadHash: CanonicalRequest.unsignedPayload)
        let query = signer.presignedQuery(
            canonical, key: accessKey, region: address.region, time: ISODate.formatBasic(time),
            expiresSeconds: expiresSeconds)
        return "\(url)?\(query)"
    }

    private func addressAndTime() -> (S3Address, Timestamp) {
        let now = time.now()
        return state.withLock { ($0.address, now.adding(milliseconds: $0.clockOffsetMilliseconds)) }
    }

    private func exchange(_ message: HTTPRequest, _ request: S3Request) async throws(StoreError) -> HTTPResponse {
        await gate.enter()
        defer { gate.leave() }
        if Task.isCancelled { throw StoreError(.cancelled, request.operation, key: request.key) }
        do {
            return try await transport.send(message)
        } catch {
            if error == .sourceFailed, case .part(let body, _) = request.body, let cause = body.sourceError {
                throw cause
            }
            if error == .receiverFailed, let cause = request.receiver?.sinkError { throw cause }
            throw StoreError(error, request.operation, request.key)
        }
    }

    private func accessKey(_ request: S3Request) async throws(StoreError) -> AccessKey? {
        do { return try await credentials.current() } catch {
            throw StoreError(.unauthenticated, request.operation, key: request.key, detail: error.description)
        }
    }

    private func message(
        for request: S3Request, to address: S3Address, at time: Timestamp
    ) async throws(StoreError) -> HTTPRequest {
        let path = address.path(request.key)
        var canonical = CanonicalRequest(
            method: request.method, path: path, query: request.query, headers: [],
            payloadHash: Self.payloadHash(request.body, isTLS: address.isTLS))
        var headers = request.headers
        if let accessKey = try await accessKey(request) {
            let stamp = ISODate.formatBasic(time)
            headers += [("x-amz-date", stamp), ("x-amz-content-sha256", canonical.payloadHash)]
            if let token = accessKey.sessionToken { headers.append(("x-amz-security-token", token)) }
            // Proxies may change other headers.
            canonical.headers = headers.filter { name, _ in
                name.hasPrefix("x-amz-") || name == "content-type" || name == "content-md5"
            }
            canonical.headers.append(("host", address.host))
            let value = signer.authorization(canonical, key: accessKey, region: address.region, time: stamp)
            headers.append(("Authorization", value))
        }
        let query = request.query.isEmpty ? "" : "?\(canonical.queryString)"
        let stall = request.isSlow ? settings.slowStallMilliseconds : settings.stallMilliseconds
        return HTTPRequest(
            method: request.method, url: "\(address.origin)\(path)\(query)", headers: headers,
            body: Self.httpBody(request.body), receiver: request.receiver, expectedBodyBytes: request.expectedBodyBytes,
            timeouts: HTTPTimeouts(stallMilliseconds: stall))
    }

    private static func httpBody(_ body: S3Request.Body) -> HTTPBody {
        switch body {
        case .none: .none
        case .bytes(let bytes): .bytes(bytes)
        case .part(let part, _): part.httpBody
        }
    }

    private static func payloadHash(_ body: S3Request.Body, isTLS: Bool) -> String {
        switch body {
        case .none: CanonicalRequest.emptyPayloadHash
        case .bytes(let bytes):
            isTLS && bytes.count > signedBodyBytes
                ? CanonicalRequest.unsignedPayload : Hexadecimal.encode(SHA256.hash(bytes))
        case .part(_, let sha256): sha256 ?? CanonicalRequest.unsignedPayload
        }
    }

    /// Whether the refusal taught us something that makes it worth sending the request again.
    private func learn(
        from refusal: S3Refusal, _ response: HTTPResponse, _ address: S3Address, _ time: Timestamp
    ) -> Bool {
        if [301, 307, 400].contains(refusal.status), let region = refusal.region, region != address.region,
            let corrected = S3Address(settings, region: region)
        {
            log.info("s3", "bucket \(settings.bucket) is in region \(region)")
            state.withLock { $0.address = corrected }
            return true
        }
        let maySkew =
            refusal.code == "RequestTimeTooSkewed" || ([400, 403].contains(refusal.status) && refusal.code == nil)
        if maySkew, let server = response.header("date").flatMap({ HTTPDate.parse($0) }),
            abs(server.milliseconds(since: time)) > Self.toleratedSkewMilliseconds
        {
            let offset = server.milliseconds(since: self.time.now())
            log.warning("s3", "this machine's clock differs from the server's by \(offset / 1000) s")
            state.withLock { $0.clockOffsetMilliseconds = offset }
            return true
        }
        return false
    }
}
