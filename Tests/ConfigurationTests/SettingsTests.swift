import Testing

@testable import Configuration

/// The one table behind options, YAML and help.
@Suite struct SettingsTests {
    @Test func keysAndOptionsAreUnique() {
        #expect(Set(Settings.all.map(\.key)).count == Settings.all.count)
        #expect(Set(Settings.all.map(\.option)).count == Settings.all.count)
        for setting in Settings.all where !setting.isPositional {
            #expect(Settings.named(option: setting.option)?.key == setting.key)
            #expect(Settings.named(option: setting.key)?.key == setting.key)
        }
    }

    /// A value for each setting that differs from its default.
    static let samples: [String: String] = [
        "bucket": "s3://data/x", "mountPoint": "/mnt/x", "endpoint": "https://s3.example.org", "region": "eu-west-1",
        "pathStyle": "true", "profile": "work", "passwordFile": "/etc/pail.secret", "anonymous": "true",
        "cache.directory": "/var/x", "cache.limit": "20GiB", "cache.reserve": "2GiB", "cache.maximumDirty": "1GiB",
        "readOnly": "true", "passthrough": "false", "allowOther": "true", "nonEmpty": "true", "uploadDelay": "200ms",
        "refresh": "1m",
        "sync": "remote", "uid": "1000", "gid": "1001", "fileMode": "0600", "directoryMode": "0700",
        "log.file": "/var/log/pail", "log.level": "debug", "concurrency.uploads": "4", "concurrency.fetches": "8",
        "tls.caFile": "/etc/ca.pem", "tls.verify": "false", "proxy": "http://proxy:3128", "requestTimeout": "10s",
        "hedge": "true",
    ]

    @Test(arguments: Settings.all.map(\.key))
    func optionListAndYAMLSayTheSame(key: String) throws {
        let setting = try #require(Settings.named(key: key))
        let value = try #require(Self.samples[key], "a sample for \(key)")
        let required = ["s3://data", "/mnt/data"]
        var expected = MountConfiguration()
        expected.bucket = .s3(bucket: "data", prefix: "")
        expected.mountPoint = "/mnt/data"
        let plain = expected
        try setting.assign(value, named: key, to: &expected, directory: "/")
        #expect(expected != plain, "the sample must change something")

        var yaml = "bucket: s3://data\nmountPoint: /mnt/data\n"
        if setting.isPositional { yaml = yaml.split(separator: "\n").filter { !$0.hasPrefix(key) }.joined() + "\n" }
        let parts = key.split(separator: ".")
        yaml += parts.count == 2 ? "\(parts[0]):\n  \(parts[1]): \(value)\n" : "\(key): \(value)\n"
        #expect(try YAMLConfiguration.parse(yaml, file: "x.yaml", directory: "/") == expected)

        guard !setting.isPositional else { return }
        let byOption = try MountArguments(required + ["--\(setting.option)=\(value)"], directory: "/")
        #expect(byOption.configuration == expected)
        if setting.isFlag, value == "false" {
            let negated = try MountArguments(required + ["--no-\(setting.option)"], directory: "/")
            #expect(negated.configuration == expected)
        }
        let underscored = String(setting.option.map { $0 == "-" ? "_" : $0 })
        let byList = try MountArguments(["-o", "_netdev,\(underscored)=\(value)"] + required, directory: "/")
        #expect(byList.configuration == expected)
    }
}
