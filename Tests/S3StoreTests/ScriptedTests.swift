import Credentials
import HTTPTransport
import ObjectStore
import Primitives
import Testing

@testable import S3Store

/// A server that answers by a script, and remembers what it was asked.
private final class ScriptedServer: HTTPSending {
    let requests = Lock([HTTPRequest]())
    private let answers: Lock<[HTTPResponse]>

    init(_ answers: [HTTPResponse]) { self.answers = Lock(answers) }

    func send(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse {
        requests.withLock { $0.append(request) }
        guard let answer = answers.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) else {
            throw .connect("the script is over")
        }
        return answer
    }

    var urls: [String] { requests.withLock { $0.map(\.url) } }
}

@Suite("S3Client") struct ScriptedTests {
    private func store(
        _ server: ScriptedServer, endpoint: String? = nil, _ abilities: Set<S3Capabilities.Ability>? = nil
    ) throws -> S3Store {
        var settings = S3Settings(bucket: "bucket", endpoint: endpoint)
        settings.concurrentParts = 1
        return try S3Store(
            settings, credentials: FixedCredentials(AccessKey(id: "AK", secret: "SK")), transport: server,
            remembered: S3Capabilities(abilities ?? Set(S3Capabilities.Ability.allCases)))
    }

    private func error(_ code: String, _ extra: String = "") -> [UInt8] {
        Array("<?xml version=\"1.0\"?><Error><Code>\(code)</Code><Message>said</Message>\(extra)</Error>".utf8)
    }

    private func kind(_ body: () async throws -> Void) async -> StoreError.Kind? {
        do { try await body() } catch { return (error as? StoreError)?.kind }
        return nil
    }

    private let object = HTTPResponse(status: 200, headers: [("content-length", "3"), ("etag", "abc")])

    @Test(
        arguments: [
            (404, "NoSuchKey", .notFound), (404, "NoSuchBucket", .noBucket), (404, "", .notFound),
            (403, "AccessDenied", .accessDenied), (403, "", .accessDenied),
            (403, "SignatureDoesNotMatch", .unauthenticated),
            (400, "ExpiredToken", .unauthenticated), (412, "PreconditionFailed", .conditionFailed),
            (409, "ConditionalRequestConflict", .throttled), (503, "SlowDown", .throttled), (503, "", .throttled),
            (500, "InternalError", .unavailable), (502, "", .unavailable), (400, "BadDigest", .corrupt),
            (507, "", .outOfSpace), (400, "EntityTooLarge", .refused), (501, "NotImplemented", .unsupported),
            (400, "RequestTimeout", .timedOut), (418, "Teapot", .refused),
        ] as [(Int, String, StoreError.Kind)])
    func errors(_ status: Int, _ code: String, _ kind: StoreError.Kind) async throws {
        let body = code.isEmpty ? [] : error(code)
        let server = ScriptedServer([HTTPResponse(status: status, headers: [("retry-after", "7")], body: body)])
        do {
            _ = try await store(server).read("k", range: nil, ifMatch: nil)
            Issue.record("no error")
        } catch let error as StoreError {
            #expect(error.kind == kind)
            #expect(error.retryAfterMilliseconds == 7_000)
            #expect(error.key == "k")
        }
    }

    @Test func learnsTheRegion() async throws {
        let moved = HTTPResponse(status: 301, headers: [("x-amz-bucket-region", "eu-west-1")])
        let server = ScriptedServer([moved, object, object])
        let store = try store(server)
        #expect(try await store.head("k").etag == ETag("\"abc\""))
        _ = try await store.head("k")
        #expect(
            server.urls == [
                "https://bucket.s3.us-east-1.amazonaws.com/k", "https://bucket.s3.eu-west-1.amazonaws.com/k",
                "https://bucket.s3.eu-west-1.amazonaws.com/k",
            ])
        let signed = server.requests.withLock { $0[2].headers.first { $0.name == "Authorization" }?.value }
        #expect(signed?.contains("/eu-west-1/s3/aws4_request") == true)
    }

    @Test func learnsTheRegionFromTheBody() async throws {
        for extra in [
            "<Region>eu-west-1</Region>", "<Endpoint>bucket.s3.eu-west-1.amazonaws.com</Endpoint>",
            "<Endpoint>bucket.s3-eu-west-1.amazonaws.com</Endpoint>",
        ] {
            let malformed = HTTPResponse(status: 400, body: error("AuthorizationHeaderMalformed", extra))
            let server = ScriptedServer([malformed, HTTPResponse(status: 200, headers: [("content-length", "0")])])
            _ = try await store(server).read("k", range: nil, ifMatch: nil)
            #expect(server.urls.last == "https://bucket.s3.eu-west-1.amazonaws.com/k")
        }
    }

    @Test func redirectsEnd() async throws {
        let there = HTTPResponse(status: 301, headers: [("x-amz-bucket-region", "eu-west-1")])
        let back = HTTPResponse(status: 301, headers: [("x-amz-bucket-region", "us-east-1")])
        let server = ScriptedServer([there, back, there, back, there, back])
        #expect(await kind { _ = try await store(server).head("k") } == .refused)
        #expect(server.urls.count == 4)
    }

    @Test(
        arguments: [
            (["content-range": "bytes 10-14/100", "content-length": "5"], 206, 5, nil),
            (["content-range": "bytes 10-13/100", "content-length": "4"], 206, 4, .corrupt),
            (["content-range": "bytes 11-15/100"], 206, 5, .corrupt),
            (["content-range": "bytes 10-14/100"], 206, 4, .corrupt),
            (["content-length": "6"], 206, 5, .corrupt),
            (["content-range": "bytes 10-11/12"], 206, 2, nil),
            (["content-length": "100"], 200, 100, nil),
            (["content-length": "100", "x-amz-checksum-crc32c": "AAAAAA=="], 200, 100, .corrupt),
            (["content-length": "100", "x-amz-checksum-crc32c": "AAAAAA==-2"], 200, 100, nil),
            (["content-length": "100"], 200, 99, .corrupt),
        ] as [([String: String], Int, Int, StoreError.Kind?)])
    func ranges(_ headers: [String: String], _ status: Int, _ count: Int, _ wanted: StoreError.Kind?) async throws {
        let answer = HTTPResponse(
            status: status, headers: headers.map { ($0.key, $0.value) }, body: (0..<count).map { UInt8($0) })
        let found = await kind {
            let body = try await store(ScriptedServer([answer])).read("k", range: 10..<15, ifMatch: nil)
            #expect(body.bytes == (status == 200 ? [10, 11, 12, 13, 14] : Array(answer.body)))
        }
        #expect(found == wanted)
    }

    @Test func anotherVersionThanAskedFor() async throws {
        let answer = HTTPResponse(status: 200, headers: [("etag", "\"new\"")], body: [1])
        let found = await kind {
            _ = try await store(ScriptedServer([answer])).read("k", range: nil, ifMatch: ETag("\"old\""))
        }
        #expect(found == .conditionFailed)
    }

    @Test func successThatIsAnError() async throws {
        let begun = HTTPResponse(
            status: 200,
            body: Array("<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>".utf8))
        let part = HTTPResponse(status: 200, headers: [("etag", "\"p\"")])
        let server = ScriptedServer([
            begun, part, part, HTTPResponse(status: 200, body: error("InternalError")), HTTPResponse(status: 204),
        ])
        let bytes = [UInt8](repeating: 1, count: 17 << 20)
        let found = await kind {
            _ = try await store(server).write(
                UploadPlan(bytes: bytes), to: "k", metadata: [:], contentType: nil, condition: .absent)
        }
        #expect(found == .unavailable)
        let requests = server.requests.withLock { $0 }
        #expect(requests.map(\.method) == ["POST", "PUT", "PUT", "POST", "DELETE"])
        #expect(requests[3].headers.contains { $0.name == "if-none-match" && $0.value == "*" })
        #expect(requests.last?.url.hasSuffix("?uploadId=u") == true)
    }

    @Test func conditionsAndChecksums() async throws {
        let written = HTTPResponse(status: 200, headers: [("etag", "\"e\"")])
        let server = ScriptedServer([written])
        let info = try await store(server).write(
            UploadPlan(bytes: Array("123456789".utf8)), to: "k", metadata: ["Mode": "1"], contentType: "text/plain",
            condition: .matches(ETag("\"old\"")))
        #expect(info.etag == ETag("\"e\"") && info.sizeBytes == 9)
        let headers = Dictionary(uniqueKeysWithValues: server.requests.withLock { $0[0].headers })
        #expect(headers["if-match"] == "\"old\"")
        #expect(headers["x-amz-checksum-crc32c"] == "4waSgw==")
        #expect(headers["x-amz-meta-mode"] == "1")
        #expect(headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD")
        #expect(headers["Authorization"]?.contains("SK") == false)
    }

    @Test func unenforcedConditionsAreCheckedBefore() async throws {
        let server = ScriptedServer([object])
        let found = await kind {
            _ = try await store(server, []).write(
                UploadPlan(bytes: [1]), to: "k", metadata: [:], contentType: nil, condition: .absent)
        }
        #expect(found == .conditionFailed)
        #expect(server.requests.withLock { $0.map(\.method) } == ["HEAD"])
    }

    @Test func repeatedRequestWhoseConditionFails() async throws {
        var answer = HTTPResponse(status: 412, body: error("PreconditionFailed"))
        answer.wasRepeated = true
        let found = await kind {
            _ = try await store(ScriptedServer([answer])).write(
                UploadPlan(bytes: [1]), to: "k", metadata: [:], contentType: nil, condition: .absent)
        }
        #expect(found == .unavailable)
    }

    @Test func metadataThatIsNotASCII() async throws {
        for (name, value) in [("k", "ä"), ("k", "a\nb"), ("", "v"), ("k\r\nx-evil", "v")] {
            let found = await kind {
                _ = try await store(ScriptedServer([])).write(
                    UploadPlan(bytes: [1]), to: "k", metadata: [name: value], contentType: nil, condition: .none)
            }
            #expect(found == .refused)
        }
    }

    @Test func listingThatDoesNotSayWhereItGoesOn() async throws {
        let body = Array("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>".utf8)
        let server = ScriptedServer([HTTPResponse(status: 200, body: body)])
        let found = await kind {
            _ = try await store(server).list(prefix: "", delimited: false, from: nil, limit: 10)
        }
        #expect(found == .corrupt)
    }

    @Test func whereListingsBegin() async throws {
        let page = HTTPResponse(status: 200, body: Array("<ListBucketResult/>".utf8))
        let server = ScriptedServer([page, page, page])
        for from in [nil, .page("a/+="), .after("d/é +&")] as [ListPosition?] {
            _ = try await store(server).list(prefix: "d/", delimited: true, from: from, limit: 10)
        }
        #expect(!server.urls[0].contains("start-after") && !server.urls[0].contains("continuation-token"))
        #expect(server.urls[1].contains("continuation-token=a%2F%2B%3D"))
        #expect(server.urls[2].contains("start-after=d%2F%C3%A9%20%2B%26"))
    }

    @Test func capabilitiesAsText() {
        let some = S3Capabilities([.putsIfAbsent, .copiesRanges])
        #expect(S3Capabilities(text: some.text) == some)
        #expect(S3Capabilities(text: "") == nil)
        #expect(S3Capabilities(text: "putsIfAbsent=yes\n") == nil)
        #expect(S3Capabilities(text: some.text + "new=yes\n") == nil)
        #expect(!some.store.writesIfAbsent && some.store.copiesRanges)
    }
}
