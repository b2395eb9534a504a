import Cryptography
import HTTPTransport
import ObjectStore
import Parsing
import Primitives

// HeadObject and GetObject
extension S3Store {
    public func head(_ key: ByteString) async throws(StoreError) -> ObjectInfo {
        try await head(key, "head", ifMatch: nil)
    }

    func head(_ key: ByteString, _ operation: String, ifMatch: ETag?) async throws(StoreError) -> ObjectInfo {
        try check(key, operation)
        var request = S3Request(operation, "HEAD", key)
        if let ifMatch { request.headers.append(("if-match", ifMatch.value)) }
        let response = try await client.send(request)
        guard let length = response.header("content-length").flatMap({ Int64($0) }) else {
            throw StoreError(.corrupt, operation, key: key, detail: "the answer has no length")
        }
        let info = response.objectInfo(key, sizeBytes: length)
        try Self.check(info, ifMatch, operation)
        return info
    }

    /// The object's description, nil if there is none.
    func present(_ key: ByteString, _ operation: String) async throws(StoreError) -> ObjectInfo? {
        do { return try await head(key, operation, ifMatch: nil) } catch {
            if error.kind == .notFound { return nil }
            throw error
        }
    }

    public func read(_ key: ByteString, range: ByteRange?, ifMatch: ETag?) async throws(StoreError) -> ObjectBody {
        try check(key, "read")
        if let range, range.isEmpty || range.lowerBound < 0 {
            return ObjectBody(info: try await head(key, "read", ifMatch: ifMatch), bytes: [])
        }
        let response = try await client.send(Self.request(key, range, ifMatch))
        if response.status == 416 {
            return ObjectBody(info: try await head(key, "read", ifMatch: ifMatch), bytes: [])
        }
        let body = try ReadAnswer(response, key: key, range: range).body()
        try Self.check(body.info, ifMatch, "read")
        return body
    }

    public func read(
        _ key: ByteString, range: ByteRange, ifMatch: ETag, into sink: any ByteSink
    ) async throws(StoreError) {
        try check(key, "read")
        var request = Self.request(key, range, ifMatch)
        let receiver = RangeReceiver(key, range, ifMatch, sink)
        request.receiver = receiver
        let response = try await client.send(request)
        if response.status != 416, receiver.hasBegun { return try receiver.requireAll() }
        guard response.status != 416 else {
            throw StoreError(.corrupt, "read", key: key, detail: "nothing came instead of \(range.length) bytes")
        }
        let body = try ReadAnswer(response, key: key, range: range).body()
        try Self.check(body.info, ifMatch, "read")
        guard Int64(body.bytes.count) == range.length else {
            throw StoreError(
                .corrupt, "read", key: key, detail: "\(body.bytes.count) bytes came instead of \(range.length)")
        }
        try body.give(to: sink, at: range.lowerBound)
    }

    private static func request(_ key: ByteString, _ range: ByteRange?, _ ifMatch: ETag?) -> S3Request {
        var request = S3Request("read", "GET", key)
        if let range {
            request.headers.append(("range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)"))
            // A hint for the buffer; callers may ask for far more than there is.
            request.expectedBodyBytes = Int(min(range.length, 16 << 20))
            request.accepted = [416]
        }
        if let ifMatch { request.headers.append(("if-match", ifMatch.value)) }
        request.headers.append(("x-amz-checksum-mode", "ENABLED"))
        return request
    }

    /// Not every server heeds If-Match.
    private static func check(_ info: ObjectInfo, _ ifMatch: ETag?, _ operation: String) throws(StoreError) {
        guard let ifMatch, let etag = info.etag, etag != ifMatch else { return }
        throw StoreError(.conditionFailed, operation, key: info.key, detail: "the version is \(etag), not \(ifMatch)")
    }
}

/// The answer to a GET, held against what was asked and what it says about itself.
struct ReadAnswer {
    private let response: HTTPResponse
    private let key: ByteString
    private let range: ByteRange?

    init(_ response: HTTPResponse, key: ByteString, range: ByteRange?) {
        self.response = response
        self.key = key
        self.range = range
    }

    func body() throws(StoreError) -> ObjectBody {
        let length = Int64(response.body.count)
        if let stated = response.header("content-length"), stated != String(length) {
            throw corrupt("\(length) bytes came of \(stated)")
        }
        if let content = response.header("content-range") { return try part(content) }
        guard response.status == 200 else { throw corrupt("a part without Content-Range") }
        try verifyChecksum()
        let info = response.objectInfo(key, sizeBytes: length)
        guard let range else { return ObjectBody(info: info, bytes: response.body) }
        // The server ignores ranges and sent everything.
        let lower = Int(min(range.lowerBound, length))
        let upper = Int(min(range.upperBound, length))
        return ObjectBody(info: info, bytes: Array(response.body[lower..<upper]))
    }

    private func part(_ content: String) throws(StoreError) -> ObjectBody {
        guard let (part, size) = ContentRange.parse(content) else { throw corrupt("Content-Range: \(content)") }
        let wanted = range.map { $0.lowerBound..<min($0.upperBound, size) } ?? 0..<size
        guard part == wanted, response.body.count == wanted.length else {
            throw corrupt("\(response.body.count) bytes of \(content) came for \(wanted)")
        }
        if wanted == 0..<size { try verifyChecksum() }
        return ObjectBody(info: response.objectInfo(key, sizeBytes: size), bytes: response.body)
    }

    private func verifyChecksum() throws(StoreError) {
        // With a "-", it is the checksum of the parts' checksums.
        guard let stated = response.header("x-amz-checksum-crc32c"), !stated.contains("-") else { return }
        if CRC32C(response.body).base64 != stated { throw corrupt("the bytes don't have the checksum \(stated)") }
    }

    private func corrupt(_ detail: String) -> StoreError { StoreError(.corrupt, "read", key: key, detail: detail) }
}

extension HTTPResponse {
    private static let metadataPrefix = "x-amz-meta-"

    func objectInfo(_ key: ByteString, sizeBytes: Int64) -> ObjectInfo {
        var metadata: Metadata = [:]
        for (name, value) in headers where name.hasPrefix(Self.metadataPrefix) {
            metadata[String(name.dropFirst(Self.metadataPrefix.count))] = value
        }
        return ObjectInfo(
            key: key, sizeBytes: sizeBytes, etag: ETag(s3: header("etag")),
            lastModified: header("last-modified").flatMap { HTTPDate.parse($0) } ?? .zero, metadata: metadata,
            contentType: header("content-type"))
    }
}
