/// Splits a command's arguments into options and the rest, as getopt_long(3) does.
public struct ArgumentScanner: Sendable {
    /// An option that a command knows.
    public struct Option: Sendable {
        public let name: String
        public let short: Character?
        /// It must be followed by a value; one that takes none may still be given one with `=`.
        public let takesValue: Bool

        public init(_ name: String, short: Character? = nil, takesValue: Bool = false) {
            self.name = name
            self.short = short
            self.takesValue = takesValue
        }
    }

    /// What was given, in order; the value is nil where none was.
    public private(set) var options: [(name: String, value: String?)] = []
    public private(set) var operands: [String] = []

    public init(_ arguments: [String], knowing known: [Option]) throws(ConfigurationError) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--" {
                operands += rest
                return
            }
            if argument.hasPrefix("--") {
                try scanLong(argument, known, &rest)
            } else if argument.hasPrefix("-"), argument != "-" {
                try scanShort(argument, known, &rest)
            } else {
                operands.append(argument)
            }
        }
    }

    public func has(_ name: String) -> Bool { options.contains { $0.name == name } }
    public func value(_ name: String) -> String? { values(name).last }
    public func values(_ name: String) -> [String] { options.filter { $0.name == name }.compactMap(\.value) }

    private mutating func scanLong(
        _ argument: String, _ known: [Option], _ rest: inout ArraySlice<String>
    ) throws(ConfigurationError) {
        let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = Setting.dashed(String(parts[0]))
        guard let option = known.first(where: { $0.name == name }) else {
            let hint = Suggestion.hint(for: name, among: known.map(\.name)) { "--\($0)" }
            throw ConfigurationError("unknown option --\(parts[0])\(hint)")
        }
        var value = parts.count == 2 ? String(parts[1]) : nil
        if option.takesValue, value == nil {
            value = rest.popFirst()
            guard value != nil else { throw ConfigurationError("--\(name) needs a value") }
        }
        options.append((name, value))
    }

    private mutating func scanShort(
        _ argument: String, _ known: [Option], _ rest: inout ArraySlice<String>
    ) throws(ConfigurationError) {
        var letters = argument.dropFirst()
        while let letter = letters.popFirst() {
            guard let option = known.first(where: { $0.short == letter }) else {
                throw ConfigurationError("unknown option -\(letter)")
            }
            guard option.takesValue else {
                options.append((option.name, nil))
                continue
            }
            let value = letters.isEmpty ? rest.popFirst() : String(letters)
            guard let value else { throw ConfigurationError("-\(letter) needs a value") }
            options.append((option.name, value))
            return
        }
    }
}
