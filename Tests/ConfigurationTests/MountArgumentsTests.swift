import Foundation
import Testing

@testable import Configuration

@Suite struct MountArgumentsTests {
    private func parse(_ arguments: String...) throws -> MountConfiguration {
        try MountArguments(arguments, directory: "/here").configuration
    }

    @Test func operandsAndOptionsMix() throws {
        let configuration = try parse("--region", "x", "s3://data", "--read-only", "mnt", "--cache-limit=1GiB")
        #expect(configuration.bucket == .s3(bucket: "data", prefix: ""))
        #expect(configuration.mountPoint == "/here/mnt")
        #expect(configuration.readOnly)
        #expect(configuration.cache.limitBytes == 1 << 30)
        #expect(try parse("--", "/b", "--odd").mountPoint == "/here/--odd")
    }

    @Test func genericMountOptionsAreNoMatter() throws {
        let plain = try parse("s3://data", "/mnt")
        #expect(
            try parse("s3://data", "/mnt", "-o", "rw,_netdev,nofail,x-systemd.automount,user,defaults") == plain)
        let kernel = try parse("s3://data", "/mnt", "-onoexec,ro,nonempty,allow_other")
        #expect(kernel.kernelOptions == ["noexec"] && kernel.readOnly && kernel.nonEmpty && kernel.allowOther)
    }

    @Test func commasInListValuesCanBeEscaped() throws {
        #expect(try parse("s3://data", "/mnt", "-o", #"profile=a\,b,ro"#).profile == "a,b")
    }

    @Test(
        arguments: [
            (["s3://data", "/mnt", "--cach-limit", "1G"], "unknown option --cach-limit, did you mean --cache-limit?"),
            (["s3://data", "/mnt", "--secret", "x"], "unknown option --secret"),
            (["s3://data", "/mnt", "-q"], "unknown option -q"),
            (["s3://data", "/mnt", "-o", "endpont=x"], "unknown option -o endpont, did you mean endpoint?"),
            (["s3://data", "/mnt", "-o", "region"], "-o region needs a value: region=NAME"),
            (["s3://data", "/mnt", "--region"], "--region needs a value"),
            (["s3://data", "/mnt", "--uid", "me"], "--uid: me is not a numeric id"),
            (["s3://data", "/mnt", "more"], "unexpected argument more"),
            (["s3://data"], "where to?"),
            ([], "which bucket?"),
            (["s3://data", "/mnt", "--config", "/nowhere.yaml"], "can't read /nowhere.yaml: No such file"),
        ] as [([String], String)])
    func faults(arguments: [String], message: String) {
        let error = #expect(throws: ConfigurationError.self) { try MountArguments(arguments, directory: "/here") }
        #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "")")
    }

    @Test func optionsWinOverTheFile() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("pail-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let file = directory.appendingPathComponent("m.yaml")
        try Data("bucket: s3://data\nmountPoint: /mnt/file\nregion: a\nprofile: p\n".utf8).write(to: file)

        let plain = try parse("--config", file.path)
        #expect(plain.mountPoint == "/mnt/file" && plain.region == "a")
        let other = try parse("--region=b", "-c", file.path, "/mnt/other")
        #expect(other.mountPoint == "/mnt/other" && other.region == "b" && other.profile == "p")
        let fstab = try parse("s3://else", "/mnt/x", "-o", "_netdev,config=\(file.path)")
        #expect(fstab.bucket == .s3(bucket: "else", prefix: "") && fstab.profile == "p")
    }

    /// Every sample configuration is one that `pail mount --config` takes.
    @Test func samplesAreValid() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("mount-configs")
        let names = try FileManager.default.contentsOfDirectory(atPath: root.path).filter { $0.hasSuffix(".yaml") }
        #expect(names.count >= 5)
        for name in names {
            let configuration = try YAMLConfiguration.read(path: root.appendingPathComponent(name).path)
            #expect(configuration.bucket != nil && configuration.mountPoint != nil, "\(name)")
        }
    }
}
