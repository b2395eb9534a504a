import Testing

@testable import Configuration

@Suite struct YAMLConfigurationTests {
    /// The text, and what the error must begin with.
    @Test(arguments: [
        ("bucket: s3://data\nendpiont: https://x\n", "x.yaml:2:1: unknown key endpiont, did you mean endpoint?"),
        ("bucket: s3://data\ncache:\n  size: 1GiB\n", "x.yaml:3:3: unknown key cache.size; allowed: directory, limit"),
        ("cache:\n  limit: 10GiX\n", "x.yaml:2:10: cache.limit: 10GiX is not a size such as 500MB or 10GiB"),
        ("uploadDelay: 5\n", "x.yaml:1:14: uploadDelay: 5 is not a time such as"),
        ("cache: 10GiB\n", "x.yaml:1:8: cache must have keys below it: directory"),
        ("bucket: [a, b]\n", "x.yaml:1:9: bucket must be a bucket address, one value"),
        ("bucket: data\n", "x.yaml:1:9: data is not a bucket address"),
        ("region:\n", "x.yaml:1:"),
        ("readOnly: maybe\n", "x.yaml:1:11: readOnly: maybe is not true or false"),
        ("sync: never\n", "x.yaml:1:7: sync: never is not one of local, remote"),
        ("concurrency: {uploads: 0}\n", "x.yaml:1:24: concurrency.uploads: 0 is not a number from 1 to 256"),
        ("endpoint: s3.example.org\n", "x.yaml:1:11: endpoint: s3.example.org is not an address such as https://"),
        ("proxy: http://me:secret@proxy:1\n", "x.yaml:1:8: an address can't hold a password"),
        ("fileMode: 9999\n", "x.yaml:1:11: fileMode: 9999 is not an octal mode"),
        ("- bucket\n", "x.yaml:1:1: a configuration must have keys"),
        ("anonymous: true\nprofile: x\n", "x.yaml:1:1: anonymous leaves no use"),
        ("cache: {limit: 1MiB}\n", "x.yaml:1:1: cache.limit must be at least 64MiB"),
        ("a: [\n", "x.yaml:"),
        ("bucket: s3://a\nbucket: s3://b\n", "x.yaml:2:"),
    ])
    func faults(text: String, message: String) {
        let error = #expect(throws: ConfigurationError.self) {
            try YAMLConfiguration.parse(text, file: "x.yaml", directory: "/")
        }
        #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("\n") == false)
        #expect(error?.description.contains("secret") == false)
    }

    @Test func relativePathsStartAtTheFile() throws {
        let configuration = try YAMLConfiguration.parse(
            "bucket: ./bucket\nmountPoint: m\npasswordFile: ../secret\n", file: "x.yaml", directory: "/etc/pail")
        #expect(configuration.bucket == .local(path: "/etc/pail/bucket"))
        #expect(configuration.mountPoint == "/etc/pail/m")
        #expect(configuration.passwordFile == "/etc/secret")
    }

    @Test func aMissingFileIsNamed() {
        let error = #expect(throws: ConfigurationError.self) { try YAMLConfiguration.read(path: "/nowhere/x.yaml") }
        #expect(error?.description == "can't read /nowhere/x.yaml: No such file or directory")
        #expect(throws: ConfigurationError.self) { try YAMLConfiguration.read(path: "/") }
    }
}
