/// The arguments of `pail mount`, `pail doctor` and `mount.pail`, made into a configuration: first what a file given
/// with `config` says, then the options, the later ones winning.
public struct MountArguments: Sendable {
    public private(set) var configuration = MountConfiguration()
    /// The operands that were given.
    public private(set) var operands: [String]
    private let scanner: ArgumentScanner
    private var settings: [(setting: Setting, text: String, name: String)] = []
    private var file: String?

    /// What fstab and mount(8) pass on that is not for the file system.
    private static let generic: Set<String> = [
        "rw", "defaults", "auto", "noauto", "user", "nouser", "users", "owner", "group", "_netdev", "nofail", "exec",
        "suid", "nosuid", "dev", "nodev", "async", "atime", "relatime", "diratime", "nodiratime", "_rnetdev",
    ]
    private static let kernel: Set<String> = ["noexec", "noatime"]

    /// - Parameters:
    ///   - extra: further options that the command knows.
    ///   - directory: where relative paths start.
    ///   - mounts: the second operand is the mount point.
    public init(
        _ arguments: [String], extra: [ArgumentScanner.Option] = [], directory: String, mounts: Bool = true
    ) throws(ConfigurationError) {
        scanner = try ArgumentScanner(arguments, knowing: Self.options + extra)
        operands = scanner.operands
        for option in scanner.options {
            switch option.name {
            case "o": try readList(option.value ?? "")
            case "config": file = option.value
            default:
                if let setting = Settings.named(option: option.name) {
                    settings.append((setting, option.value ?? "true", "--\(option.name)"))
                } else if let setting = Settings.named(negated: option.name) {
                    guard option.value == nil else { throw ConfigurationError("--\(option.name) takes no value") }
                    settings.append((setting, "false", "--\(option.name)"))
                }
            }
        }
        if let file {
            configuration = try YAMLConfiguration.read(
                path: Path.absolute(file, from: directory), over: configuration)
        }
        try takeOperands(directory: directory, mounts: mounts)
        for (setting, text, name) in settings {
            try setting.assign(text, named: name, to: &configuration, directory: directory)
        }
        try configuration.validate()
    }

    /// Whether an option was given.
    public func has(_ name: String) -> Bool { scanner.has(name) }
    /// All values that an option was given, in order.
    public func values(_ name: String) -> [String] { scanner.values(name) }

    private static var options: [ArgumentScanner.Option] {
        let named = Settings.all.filter { !$0.isPositional }
        let negated = named.filter(\.isFlag).map { ArgumentScanner.Option(Settings.negation + $0.option) }
        return named.map { ArgumentScanner.Option($0.option, takesValue: !$0.isFlag) } + negated + [
            ArgumentScanner.Option("o", short: "o", takesValue: true),
            ArgumentScanner.Option("config", short: "c", takesValue: true),
        ]
    }

    /// `key=value,flag,…` as fstab has it; `\,` is a comma in a value.
    private mutating func readList(_ text: String) throws(ConfigurationError) {
        for item in Self.splitList(text) where !item.isEmpty {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            let value = parts.count == 2 ? String(parts[1]) : nil
            if Self.generic.contains(name) || name.hasPrefix("x-") || name.hasPrefix("comment") { continue }
            if Self.kernel.contains(name) {
                configuration.kernelOptions.append(name)
            } else if name == "ro" || name == "nonempty" || name == "allow_other" {
                let option = ["ro": "read-only", "nonempty": "non-empty", "allow_other": "allow-other"][name] ?? name
                if let setting = Settings.named(option: option) { settings.append((setting, "true", name)) }
            } else if name == "config" {
                guard let value else { throw ConfigurationError("-o config needs a file: config=FILE") }
                file = value
            } else {
                guard let setting = Settings.named(option: name) else {
                    let known = Settings.all.filter { !$0.isPositional }.map(\.option)
                    throw ConfigurationError("unknown option -o \(name)\(Suggestion.hint(for: name, among: known))")
                }
                guard value != nil || setting.isFlag else {
                    throw ConfigurationError("-o \(name) needs a value: \(name)=\(setting.placeholder)")
                }
                settings.append((setting, value ?? "true", "-o \(name)"))
            }
        }
    }

    private static func splitList(_ text: String) -> [String] {
        var items = [""]
        var escaped = false
        for character in text {
            switch character {
            case "\\" where !escaped: escaped = true
            case "," where !escaped: items.append("")
            default:
                if escaped, character != ",", character != "\\" { items[items.count - 1].append("\\") }
                items[items.count - 1].append(character)
                escaped = false
            }
        }
        return items
    }

    /// With a file that names the bucket, a single operand is the mount point.
    private mutating func takeOperands(directory: String, mounts: Bool) throws(ConfigurationError) {
        var rest = operands[...]
        if !(rest.count == 1 && mounts && configuration.bucket != nil), let bucket = rest.popFirst() {
            configuration.bucket = try BucketAddress.parse(bucket, directory: directory)
        }
        if mounts, let mountPoint = rest.popFirst() {
            configuration.mountPoint = Path.absolute(mountPoint, from: directory)
        }
        if let extra = rest.first { throw ConfigurationError("unexpected argument \(extra)") }
        if configuration.bucket == nil { throw ConfigurationError("which bucket? \(BucketAddress.forms)") }
        if mounts, configuration.mountPoint == nil { throw ConfigurationError("where to? name an empty directory") }
    }
}

extension MountConfiguration {
    /// What no single value shows to be wrong.
    func validate() throws(ConfigurationError) {
        if anonymous, profile != nil || passwordFile != nil {
            throw ConfigurationError("anonymous leaves no use for a profile or a password file: drop one")
        }
        if profile != nil, passwordFile != nil {
            throw ConfigurationError("a profile and a password file: which one? drop the other")
        }
        if cache.limitBytes < 64 << 20 { throw ConfigurationError("cache.limit must be at least 64MiB") }
        if let dirty = cache.maximumDirtyBytes, dirty > cache.limitBytes || dirty < 16 << 20 {
            throw ConfigurationError("cache.maximumDirty must be between 16MiB and cache.limit")
        }
        if requestTimeoutMilliseconds < 1_000 {
            throw ConfigurationError("requestTimeout must be at least 1s")
        }
    }
}
