import Credentials
import Primitives
import Testing

@testable import S3Store

/// The examples of "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API Reference.
@Suite("Signature") struct SignatureTests {
    private let key = AccessKey(id: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    private let host = (name: "host", value: "examplebucket.s3.amazonaws.com")
    private let time = "20130524T000000Z"

    private func signature(_ request: CanonicalRequest) -> String {
        let value = Signer().authorization(request, key: key, region: "us-east-1", time: time)
        #expect(value.hasPrefix("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"))
        return String(value.suffix(64))
    }

    private func request(
        _ method: String, _ path: String, query: [(name: String, value: ByteString)] = [],
        headers: [(name: String, value: String)] = [], hash: String = CanonicalRequest.emptyPayloadHash
    ) -> CanonicalRequest {
        let date = [(name: "x-amz-date", value: time), (name: "x-amz-content-sha256", value: hash)]
        return CanonicalRequest(
            method: method, path: path, query: query, headers: [host] + headers + date, payloadHash: hash)
    }

    @Test func getObject() {
        let get = request("GET", "/test.txt", headers: [("Range", "bytes=0-9")])
        #expect(
            get.text == """
                GET
                /test.txt

                host:examplebucket.s3.amazonaws.com
                range:bytes=0-9
                x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
                x-amz-date:20130524T000000Z

                host;range;x-amz-content-sha256;x-amz-date
                e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
                """)
        #expect(signature(get) == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
    }

    @Test func putObject() {
        let put = request(
            "PUT", "/test%24file.text",
            headers: [("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            hash: "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072")
        #expect(signature(put) == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")
    }

    @Test func bucketLifecycle() {
        let get = request("GET", "/", query: [("lifecycle", "")])
        #expect(signature(get) == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
    }

    @Test func listObjects() {
        let list = request("GET", "/", query: [("prefix", "J"), ("max-keys", "2")])
        #expect(signature(list) == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
    }

    @Test func presigned() {
        let get = CanonicalRequest(method: "GET", path: "/test.txt", query: [], headers: [host], payloadHash: "")
        let query = Signer().presignedQuery(get, key: key, region: "us-east-1", time: time, expiresSeconds: 86400)
        #expect(
            query == "X-Amz-Algorithm=AWS4-HMAC-SHA256"
                + "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
                + "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
                + "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")
    }

    @Test func anotherDayOrSecretHasAnotherKey() {
        let signer = Signer()
        let get = request("GET", "/")
        let first = signer.authorization(get, key: key, region: "us-east-1", time: time)
        let other = AccessKey(id: key.id, secret: "another")
        #expect(signer.authorization(get, key: other, region: "us-east-1", time: time) != first)
        #expect(signer.authorization(get, key: key, region: "us-east-1", time: "20130525T000000Z") != first)
        #expect(signer.authorization(get, key: key, region: "eu-west-1", time: time) != first)
        #expect(signer.authorization(get, key: key, region: "us-east-1", time: time) == first)
    }
}
