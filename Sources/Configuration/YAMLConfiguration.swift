import Glibc
import Parsing

/// A mount described in a YAML file.
public enum YAMLConfiguration {
    /// Larger files are no configuration.
    private static let maximumBytes = 1 << 20

    /// Reads a file. Relative paths in it are taken from the directory that it lies in.
    public static func read(
        path: String, over base: MountConfiguration = MountConfiguration()
    ) throws(ConfigurationError) -> MountConfiguration {
        guard let file = fopen(path, "re") else {
            throw ConfigurationError("can't read \(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: maximumBytes + 1)
        let count = fread(&bytes, 1, bytes.count, file)
        if ferror(file) != 0 { throw ConfigurationError("can't read \(path): it is not a file that can be read") }
        if count > maximumBytes { throw ConfigurationError("\(path) is too large for a configuration (1 MiB at most)") }
        let directory = path.split(separator: "/").dropLast().joined(separator: "/")
        return try parse(
            String(decoding: bytes[..<count], as: UTF8.self), file: path, directory: "/" + directory, over: base)
    }

    /// `file` is the name that errors show.
    public static func parse(
        _ text: String, file: String, directory: String, over base: MountConfiguration = MountConfiguration()
    ) throws(ConfigurationError) -> MountConfiguration {
        let root: YAMLNode
        do {
            root = try YAMLNode.parse(text)
        } catch {
            throw ConfigurationError(
                error.message, at: .init(file: file, line: max(1, error.line), column: max(1, error.column)))
        }
        var reader = Reader(file: file, directory: directory, configuration: base)
        try reader.readMapping(root, under: "")
        try reader.validate(root)
        return reader.configuration
    }
}

/// Walks the document and assigns what it finds.
private struct Reader {
    let file: String
    let directory: String
    var configuration: MountConfiguration

    /// `path` is empty or ends with a dot.
    mutating func readMapping(_ node: YAMLNode, under path: String) throws(ConfigurationError) {
        guard case .mapping(let pairs) = node.content else {
            let name = path.isEmpty ? "a configuration" : String(path.dropLast())
            throw failure("\(name) must have keys below it: \(names(under: path).joined(separator: ", "))", node)
        }
        for (key, value) in pairs {
            guard case .scalar(let name, _) = key.content else { throw failure("a key must be a word", key) }
            let full = path + name
            if let setting = Settings.named(key: full) {
                try assign(setting, value)
            } else if Settings.all.contains(where: { $0.key.hasPrefix(full + ".") }) {
                try readMapping(value, under: full + ".")
            } else {
                let known = names(under: path)
                let hint = Suggestion.hint(for: name, among: known)
                throw failure(
                    "unknown key \(full)\(hint.isEmpty ? "; allowed: \(known.joined(separator: ", "))" : hint)", key)
            }
        }
    }

    func validate(_ root: YAMLNode) throws(ConfigurationError) {
        do {
            try configuration.validate()
        } catch {
            throw failure(error.message, root)
        }
    }

    private mutating func assign(_ setting: Setting, _ node: YAMLNode) throws(ConfigurationError) {
        guard case .scalar(let text, let quoted) = node.content else {
            throw failure("\(setting.key) must be \(setting.kind.allowed), one value", node)
        }
        if !quoted, text.isEmpty || text == "~" || text == "null" {
            throw failure("\(setting.key) has no value: it must be \(setting.kind.allowed)", node)
        }
        do {
            try setting.assign(text, named: setting.key, to: &configuration, directory: directory)
        } catch {
            throw failure(error.message, node)
        }
    }

    private func names(under path: String) -> [String] {
        var names: [String] = []
        for setting in Settings.all where setting.key.hasPrefix(path) {
            let name = String(setting.key.dropFirst(path.count).prefix { $0 != "." })
            if !names.contains(name) { names.append(name) }
        }
        return names
    }

    private func failure(_ message: String, _ node: YAMLNode) -> ConfigurationError {
        ConfigurationError(message, at: .init(file: file, line: node.line, column: node.column))
    }
}
