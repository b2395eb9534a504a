import Testing

@testable import Configuration

@Suite struct BucketAddressTests {
    @Test(
        arguments: [
            ("s3://data", .s3(bucket: "data", prefix: "")),
            ("s3://data/", .s3(bucket: "data", prefix: "")),
            ("S3://Data/a/b//", .s3(bucket: "Data", prefix: "a/b/")),
            ("s3://data/a b", .s3(bucket: "data", prefix: "a b/")),
            ("file:///srv/x", .local(path: "/srv/x")),
            ("local:///srv/../x/", .local(path: "/x")),
            ("/srv/x/./y/", .local(path: "/srv/x/y")),
            ("./x", .local(path: "/here/x")),
            ("..", .local(path: "/")),
        ] as [(String, BucketAddress)])
    func good(text: String, address: BucketAddress) throws {
        #expect(try BucketAddress.parse(text, directory: "/here") == address)
    }

    @Test(arguments: [
        ("data", "is not a bucket address"), ("s3://", "name is missing"), ("s3:///x", "name is missing"),
        ("s3:data", "is not a bucket address"), ("s3://a b/x", "can't be a bucket's name"),
        ("s3://..", "can't be a bucket's name"), ("s3://key:secret@data", "can't be a bucket's name"),
        ("s3://data/a//b", "empty part"), ("gs://data", "not supported yet"), ("https://s3.example.org/x", "endpoint"),
        ("file://x", "must be absolute"), ("magnet://x", "unknown kind"), ("", "is not a bucket address"),
    ])
    func bad(text: String, message: String) {
        let error = #expect(throws: ConfigurationError.self) { try BucketAddress.parse(text, directory: "/here") }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("\n") == false)
    }

    @Test func describesItselfAsWritten() throws {
        for text in ["s3://data", "s3://data/a/b", "file:///srv/x"] {
            #expect(try BucketAddress.parse(text, directory: "/").description == text)
        }
    }

    @Test func pathsFromHome() {
        #expect(Path.absolute("~/x", from: "/here", home: "/home/me") == "/home/me/x")
        #expect(Path.absolute("~x", from: "/here", home: "/home/me") == "/here/~x")
    }
}
