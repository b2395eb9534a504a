import Foundation

/// A Swift file below `Sources/`.
struct SourceFile {
    /// From the package's root on.
    let path: String
    let module: String
    let lines: [String]

    var imports: [String] { lines.compactMap(Self.importedModule) }

    static func all() throws -> [SourceFile] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        let sources = root + "/Sources"
        return try FileManager.default.subpathsOfDirectory(atPath: sources).sorted()
            .filter { $0.hasSuffix(".swift") }
            .map { path in
                let text = try String(contentsOfFile: sources + "/" + path, encoding: .utf8)
                return SourceFile(
                    path: "Sources/" + path, module: String(path.prefix { $0 != "/" }),
                    lines: text.components(separatedBy: "\n"))
            }
    }

    /// The module that a line imports, or nil: attributes, an access level and a kind may stand around `import`.
    static func importedModule(_ line: String) -> String? {
        var words = line.split { " \t;".contains($0) }
        let modifiers: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
        while let word = words.first, word.hasPrefix("@") || modifiers.contains(word) { words.removeFirst() }
        guard words.count >= 2, words[0] == "import" else { return nil }
        let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias", "actor"]
        let name = kinds.contains(words[1]) && words.count > 2 ? words[2] : words[1]
        return String(name.prefix { $0 != "." })
    }
}
