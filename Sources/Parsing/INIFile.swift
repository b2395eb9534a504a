/// The format of `~/.aws/credentials` and `~/.aws/config` (AWS SDKs and Tools Reference Guide, "Shared config and
/// credentials files"): `[section]` lines, `key = value` lines, comments with `#` or `;`.
///
/// A comment begins a line or follows white space. Nested settings, which are indented, are left out.
/// Sections with the same name are one; a later value replaces an earlier one.
public struct INIFile: Sendable {
    /// By name, `default` or `profile name`; the keys are in lower case.
    public private(set) var sections: [String: [String: String]] = [:]

    public subscript(_ section: String) -> [String: String]? { sections[section] }

    /// The error names the line, never what stands there: it may be a secret.
    public static func parse(_ bytes: [UInt8]) throws(ParseError) -> INIFile {
        var text = String(decoding: bytes, as: UTF8.self)
        if text.unicodeScalars.first == "\u{FEFF}" { text.unicodeScalars.removeFirst() }
        var file = INIFile()
        var section: String?
        var propertyIndent = Int.max
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let content = withoutComment(line)
            if content.isEmpty { continue }
            let indent = line.prefix(while: \.isWhitespace).count
            let failure = { (message: String) in ParseError(message: message, line: index + 1, column: indent + 1) }
            if content.first == "[" {
                guard content.last == "]" else { throw failure("a section's line must end with ]") }
                let name = sectionName(content.dropFirst().dropLast())
                file.sections[name, default: [:]].merge([:]) { old, _ in old }
                section = name
                propertyIndent = .max
            } else if indent <= propertyIndent {
                guard let section else { throw failure("a [section] must come first") }
                guard let equals = content.firstIndex(of: "="), equals != content.startIndex else {
                    throw failure("this must be: key = value")
                }
                let key = trimmed(content[..<equals]).lowercased()
                file.sections[section]?[key] = trimmed(content[content.index(after: equals)...])
                propertyIndent = indent
            }
        }
        return file
    }

    private static func withoutComment(_ line: Substring) -> Substring {
        var afterSpace = true
        for index in line.indices {
            if afterSpace && (line[index] == "#" || line[index] == ";") { return Substring(trimmed(line[..<index])) }
            afterSpace = line[index].isWhitespace
        }
        return Substring(trimmed(line))
    }

    /// `profile  "a b"` is `profile a b`.
    private static func sectionName(_ text: Substring) -> String {
        let text = trimmed(text)
        guard let space = text.firstIndex(where: \.isWhitespace) else { return text }
        var rest = Substring(trimmed(text[space...]))
        if rest.count >= 2, let quote = rest.first, quote == "\"" || quote == "'", rest.last == quote {
            rest = rest.dropFirst().dropLast()
        }
        return "\(text[..<space]) \(rest)"
    }

    private static func trimmed(_ text: Substring) -> String {
        let start = text.drop(while: \.isWhitespace)
        return String(start.reversed().drop(while: \.isWhitespace).reversed())
    }
}
