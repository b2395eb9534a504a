/// One thing that can be set about a mount, in YAML, as an option, and in `-o`.
public struct Setting: Sendable {
    /// As in YAML; a dot goes one mapping deeper: `cache.limit`.
    public let key: String
    /// Without the leading dashes: `cache-limit`.
    public let option: String
    /// One line, without the default.
    public let help: String
    let kind: ValueKind

    public var placeholder: String { kind.placeholder }
    /// As an option it needs no value.
    public var isFlag: Bool { kind.isFlag }
    /// Named by position on the command line.
    public var isPositional: Bool { key == "bucket" || key == "mountPoint" }

    /// Puts the value that `text` describes into `configuration`. Relative paths are taken from `directory`.
    /// `name` is what the user wrote for the setting.
    func assign(
        _ text: String, named name: String, to configuration: inout MountConfiguration, directory: String
    ) throws(ConfigurationError) {
        guard try kind.assign(&configuration, text, directory) else {
            let shown = text.isEmpty ? "an empty value" : text
            throw ConfigurationError("\(name): \(shown) is not \(kind.allowed)")
        }
    }

    fileprivate init(_ key: String, _ kind: ValueKind, option: String? = nil, _ help: String) {
        self.key = key
        self.option = option ?? Self.dashed(key)
        self.kind = kind
        self.help = help
    }

    /// `cache.maximumDirty` and `cache_maximum_dirty` as `cache-maximum-dirty`.
    static func dashed(_ name: String) -> String {
        var result = ""
        for character in name {
            switch character {
            case ".", "_": result.append("-")
            case _ where character.isUppercase: result += "-" + character.lowercased()
            default: result.append(character)
            }
        }
        return result
    }
}

/// The table behind options, YAML and help.
public enum Settings {
    public static let all: [Setting] = [
        Setting("bucket", .bucket(\.bucket), "the bucket: s3://BUCKET[/PREFIX], or /PATH of a local directory"),
        Setting("mountPoint", .path(\.mountPoint, "DIR"), "where it appears: an empty directory"),
        Setting("endpoint", .url(\.endpoint, schemes: ["https", "http"]), "the S3 service; default: Amazon's"),
        Setting("region", .text(\.region, "NAME"), "the bucket's region; default: profile, environment, us-east-1"),
        Setting(
            "pathStyle", .choice(\.pathStyle), "name the bucket in the path; auto: whenever there is an endpoint"),
        Setting("profile", .text(\.profile, "NAME"), "credentials of this profile in ~/.aws"),
        Setting("passwordFile", .path(\.passwordFile, "FILE"), "credentials KEY:SECRET in a file of mode 0600"),
        Setting("anonymous", .flag(\.anonymous), "sign nothing: a public bucket"),
        Setting(
            "cache.directory", .path(\.cache.directory, "DIR"), option: "cache-dir",
            "where contents are kept locally; default: below ~/.cache/pail, root's below /var/cache/pail"),
        Setting("cache.limit", .size(\.cache.limitBytes), "most contents to keep on disk; default 10GiB"),
        Setting("cache.reserve", .size(\.cache.reserveBytes), "leave this much of the disk free; default 1GiB"),
        Setting(
            "cache.maximumDirty", .size(\.cache.maximumDirtyBytes),
            "most bytes not yet uploaded, writers wait beyond; default: four fifths of the limit"),
        Setting("readOnly", .flag(\.readOnly), "refuse changes"),
        Setting(
            "passthrough", .flag(\.passthrough),
            "let the kernel read and write cached files by itself, where it can; default true"),
        Setting("allowOther", .flag(\.allowOther), "let other users in (needs user_allow_other in /etc/fuse.conf)"),
        Setting("nonEmpty", .flag(\.nonEmpty), "mount over a directory that has entries"),
        Setting(
            "uploadDelay", .duration(\.uploadDelayMilliseconds),
            "how long a file must be left alone before it is uploaded; default 1s"),
        Setting(
            "refresh", .duration(\.refreshMilliseconds),
            "how long names are believed before the bucket is asked again; default 5s"),
        Setting("sync", .choice(\.sync), "what fsync waits for: the local disk (default) or the bucket"),
        Setting("uid", .identifier(\.user), "owner of objects without attributes; default: who mounts"),
        Setting("gid", .identifier(\.group), "group of objects without attributes; default: who mounts"),
        Setting("fileMode", .mode(\.fileMode), "mode of objects without attributes; default 0644"),
        Setting("directoryMode", .mode(\.directoryMode), "mode of directories without attributes; default 0755"),
        Setting("log.file", .path(\.log.file, "FILE"), "default: log in the cache directory; stderr with -f"),
        Setting("log.level", .choice(\.log.level), "how much to log; default info"),
        Setting(
            "concurrency.uploads", .number(\.concurrency.uploads, 1...256), option: "uploads",
            "files uploaded at a time; default 16"),
        Setting(
            "concurrency.fetches", .number(\.concurrency.fetches, 1...256), option: "fetches",
            "ranges fetched at a time; default 32"),
        Setting("tls.caFile", .path(\.tls.caFile, "FILE"), "certificates to trust; default: the system's"),
        Setting(
            "tls.verify", .flag(\.tls.verify),
            "check the service's certificate; default true, --no-tls-verify doesn't"),
        Setting(
            "proxy", .url(\.proxy, schemes: ["http", "https", "socks5", "socks5h", "socks4"]),
            "go through this proxy; default: https_proxy and its like"),
        Setting(
            "requestTimeout", .duration(\.requestTimeoutMilliseconds),
            "give a request up after this long without a byte; default 30s"),
        Setting("hedge", .flag(\.hedge), "ask again when the answer to a read is late, and take the first that comes"),
    ]

    /// `--no-FLAG` is `--FLAG=false`.
    static let negation = "no-"

    static func named(negated option: String) -> Setting? {
        option.hasPrefix(negation) ? named(option: String(option.dropFirst(negation.count))) : nil
    }

    static func named(key: String) -> Setting? { all.first { $0.key == key } }

    /// By what `-o` or `--` was followed by: `cache-limit`, `cache_limit` and `cache.limit` are one.
    static func named(option: String) -> Setting? {
        let dashed = Setting.dashed(option)
        return all.first { !$0.isPositional && ($0.option == dashed || Setting.dashed($0.key) == dashed) }
    }
}
