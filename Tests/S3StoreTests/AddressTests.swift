import Testing

@testable import S3Store

@Suite("S3Address") struct AddressTests {
    private func address(
        _ bucket: String, _ endpoint: String? = nil, _ addressing: S3Settings.Addressing = .auto, region: String? = nil
    ) -> S3Address? {
        var settings = S3Settings(bucket: bucket, region: region, endpoint: endpoint)
        settings.addressing = addressing
        return S3Address(settings)
    }

    @Test(
        arguments: [
            (
                address: ("b", nil, S3Settings.Addressing.auto),
                url: "https://b.s3.us-east-1.amazonaws.com/k%20%C3%A4/%2B"
            ),
            (address: ("a.b", nil, .auto), url: "https://s3.us-east-1.amazonaws.com/a.b/k%20%C3%A4/%2B"),
            (address: ("b", "http://localhost:9000", .auto), url: "http://localhost:9000/b/k%20%C3%A4/%2B"),
            (address: ("b", "HTTPS://Store.example:443/", .auto), url: "https://store.example/b/k%20%C3%A4/%2B"),
            (address: ("b", "http://h:80/base/", .auto), url: "http://h/base/b/k%20%C3%A4/%2B"),
            (address: ("b", "store.example", .virtualHost), url: "https://b.store.example/k%20%C3%A4/%2B"),
            (address: ("b", "http://[::1]:9000", .auto), url: "http://[::1]:9000/b/k%20%C3%A4/%2B"),
        ] as [(address: (String, String?, S3Settings.Addressing), url: String)])
    func url(_ given: (address: (String, String?, S3Settings.Addressing), url: String)) throws {
        let made = try #require(address(given.address.0, given.address.1, given.address.2))
        #expect("\(made.origin)\(made.path("k ä/+"))" == given.url)
    }

    @Test(arguments: ["ftp://host", "", "http://", "https://user:secret@host", "https://host/?x", "ho st"])
    func noEndpoint(_ endpoint: String) { #expect(address("b", endpoint) == nil) }

    @Test func bucketItself() {
        #expect(address("b")?.path(nil) == "/")
        #expect(address("b", "http://h")?.path(nil) == "/b")
        #expect(address("b", region: "cn-north-1")?.host == "b.s3.cn-north-1.amazonaws.com.cn")
        #expect(address("b")?.copySource("a b/c") == "b/a%20b/c")
    }
}
