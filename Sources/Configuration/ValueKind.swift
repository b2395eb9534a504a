/// How a setting's value is written and where it goes.
struct ValueKind: Sendable {
    typealias Target<Value> = WritableKeyPath<MountConfiguration, Value> & Sendable

    /// What help shows for the value.
    let placeholder: String
    /// Ends the sentence "… is not": `a size such as 500MB or 10GiB`.
    let allowed: String
    /// As an option it needs no value.
    var isFlag = false
    /// Puts the text's value into the configuration; false if the text is no such value. The second text is the
    /// directory that relative paths are taken from.
    let assign: @Sendable (inout MountConfiguration, String, String) throws(ConfigurationError) -> Bool

    static func text(_ target: Target<String?>, _ placeholder: String) -> ValueKind {
        ValueKind(placeholder: placeholder, allowed: "a text") { configuration, text, _ in
            guard !text.isEmpty else { return false }
            configuration[keyPath: target] = text
            return true
        }
    }

    static func path(_ target: Target<String?>, _ placeholder: String) -> ValueKind {
        ValueKind(placeholder: placeholder, allowed: "a path") { configuration, text, directory in
            guard !text.isEmpty, !text.utf8.contains(0) else { return false }
            configuration[keyPath: target] = Path.absolute(text, from: directory)
            return true
        }
    }

    static func url(_ target: Target<String?>, schemes: [String]) -> ValueKind {
        let allowed = "an address such as \(schemes[0])://HOST[:PORT]"
        return ValueKind(placeholder: "URL", allowed: allowed) {
            (configuration, text, _) throws(ConfigurationError) in
            guard let colon = text.firstRange(of: "://"), schemes.contains(text[..<colon.lowerBound].lowercased())
            else { return false }
            let rest = text[colon.upperBound...]
            guard let first = rest.first, first != "/", first != ":",
                !rest.contains(where: { $0.isWhitespace || $0 == "?" || $0 == "#" })
            else { return false }
            if rest.prefix(while: { $0 != "/" }).contains("@") {
                throw ConfigurationError("an address can't hold a password here: other users see it in ps")
            }
            configuration[keyPath: target] = text.hasSuffix("/") ? String(text.dropLast()) : text
            return true
        }
    }

    private static let sizes = "a size such as 500MB or 10GiB"

    static func size(_ target: Target<Int64>) -> ValueKind {
        ValueKind(placeholder: "SIZE", allowed: sizes) { configuration, text, _ in
            guard let bytes = Quantity.bytes(text) else { return false }
            configuration[keyPath: target] = bytes
            return true
        }
    }

    static func size(_ target: Target<Int64?>) -> ValueKind {
        ValueKind(placeholder: "SIZE", allowed: sizes) { configuration, text, _ in
            guard let bytes = Quantity.bytes(text) else { return false }
            configuration[keyPath: target] = bytes
            return true
        }
    }

    static func duration(_ target: Target<Int64>) -> ValueKind {
        ValueKind(placeholder: "TIME", allowed: "a time such as 200ms, 5s or 1m") { configuration, text, _ in
            guard let milliseconds = Quantity.milliseconds(text) else { return false }
            configuration[keyPath: target] = milliseconds
            return true
        }
    }

    static func flag(_ target: Target<Bool>) -> ValueKind {
        ValueKind(placeholder: "", allowed: "true or false", isFlag: true) { configuration, text, _ in
            switch text {
            case "true", "yes", "on": configuration[keyPath: target] = true
            case "false", "no", "off": configuration[keyPath: target] = false
            default: return false
            }
            return true
        }
    }

    static func number(_ target: Target<Int>, _ range: ClosedRange<Int>) -> ValueKind {
        let allowed = "a number from \(range.lowerBound) to \(range.upperBound)"
        return ValueKind(placeholder: "N", allowed: allowed) { configuration, text, _ in
            guard let number = Int(text), range.contains(number) else { return false }
            configuration[keyPath: target] = number
            return true
        }
    }

    static func identifier(_ target: Target<UInt32?>) -> ValueKind {
        ValueKind(placeholder: "ID", allowed: "a numeric id") { configuration, text, _ in
            guard let number = UInt32(text), number != .max else { return false }
            configuration[keyPath: target] = number
            return true
        }
    }

    static func mode(_ target: Target<UInt32>) -> ValueKind {
        ValueKind(placeholder: "MODE", allowed: "an octal mode such as 0644") { configuration, text, _ in
            let digits = text.hasPrefix("0o") ? text.dropFirst(2) : Substring(text)
            guard let mode = UInt32(digits, radix: 8), mode <= 0o7777, digits.count >= 3 else { return false }
            configuration[keyPath: target] = mode
            return true
        }
    }

    static func choice<Choice: RawRepresentable<String> & CaseIterable & Sendable>(
        _ target: Target<Choice>
    ) -> ValueKind {
        let names = Choice.allCases.map(\.rawValue)
        return ValueKind(placeholder: names.joined(separator: "|"), allowed: "one of \(names.joined(separator: ", "))")
        {
            configuration, text, _ in
            guard let choice = Choice(rawValue: text) else { return false }
            configuration[keyPath: target] = choice
            return true
        }
    }

    static func bucket(_ target: Target<BucketAddress?>) -> ValueKind {
        ValueKind(placeholder: "BUCKET", allowed: "a bucket address") {
            (configuration, text, directory) throws(ConfigurationError) in
            configuration[keyPath: target] = try BucketAddress.parse(text, directory: directory)
            return true
        }
    }
}
