import Parsing
import Testing

/// What a node says, in one line.
private func shown(_ node: YAMLNode) -> String {
    switch node.content {
    case .scalar(let text, let quoted): quoted ? "\"\(text)\"" : text
    case .sequence(let items): "[" + items.map(shown).joined(separator: ",") + "]"
    case .mapping(let pairs): "{" + pairs.map { shown($0.key) + ":" + shown($0.value) }.joined(separator: ",") + "}"
    }
}

@Suite struct YAMLTests {
    @Test(arguments: [
        ("", ""), ("# nothing\n", ""), ("---\n", ""), ("word", "word"), ("a: 1", "{a:1}"), ("a:", "{a:}"),
        ("a: 'true'\nb: \"x\\ty\"\nc: true", "{a:\"true\",b:\"x\ty\",c:true}"),
        ("a:\n  - 1\n  - b: 2\n    c: [3, {d: 4}]\n", "{a:[1,{b:2,c:[3,{d:4}]}]}"),
        ("a: |\n  one\n  two\nb: >\n  one\n  two\n", "{a:\"one\ntwo\n\",b:\"one two\n\"}"),
        ("ünï: ✓ # why\n", "{ünï:✓}"), ("url: s3://bucket/a#b\n", "{url:s3://bucket/a#b}"),
        ("{b: 1, a: 2}", "{b:1,a:2}"), ("a: 10 MiB\n...\n", "{a:10 MiB}"), ("\u{FEFF}a: 1\r\nb: 2\r\n", "{a:1,b:2}"),
        ("2: two\n'3': three", "{2:two,\"3\":three}"),
    ])
    func documents(text: String, meaning: String) throws {
        #expect(shown(try YAMLNode.parse(text)) == meaning)
    }

    @Test func positions() throws {
        let root = try YAMLNode.parse("# first\ncache:\n  size: 10\n  paths: [a,\n    ü, b]\n")
        guard case .mapping(let top) = root.content, case .mapping(let cache) = top[0].value.content,
            case .sequence(let paths) = cache[1].value.content
        else {
            Issue.record("the document has another shape")
            return
        }
        let nodes = [root, top[0].key, top[0].value, cache[0].key, cache[0].value, paths[0], paths[1], paths[2]]
        #expect(nodes.map(\.line) == [2, 2, 3, 3, 3, 4, 5, 5])
        #expect(nodes.map(\.column) == [1, 1, 3, 3, 9, 11, 5, 8])
    }

    @Test(arguments: [
        ("a: 1\nb: 2\na: 3\n", 3, 1, "the key a is already on line 1"),
        ("x:\n  a: 1\n  'a': 2\n", 3, 3, "the key a is already on line 2"),
        ("a: &x 1\nb: 2\n", 1, 4, "anchors (&) are not supported: write the value out"),
        ("a: 1\nb: *x\n", 2, 4, "aliases (*) are not supported: write the value out"),
        ("*x : 1\n", 1, 1, "aliases (*) are not supported: write the value out"),
        ("a: !!str 1\n", 1, 4, "tags (!) are not supported: quote what begins with !"),
        ("a: !new [1]\n", 1, 4, "tags (!) are not supported: quote what begins with !"),
        ("a: &m {b: 1}\n", 1, 4, "anchors (&) are not supported: write the value out"),
        ("a: 1\n---\nb: 2\n", 2, 1, "only one document is allowed"),
        ("? [a, b]\n: 1\n", 1, 3, "a key must be a word"),
    ])
    func refused(text: String, line: Int, column: Int, message: String) {
        let error = #expect(throws: ParseError.self) { try YAMLNode.parse(text) }
        #expect(error == ParseError(message: message, line: line, column: column))
    }

    @Test(arguments: [
        ("a: 1\n b: 2\n", 2), ("a: [1\nb: 2\n", 2), ("a: 'open\n", 2), ("a:\n\t- 1\n", 2), ("a: b: c\n", 1), ("%", 1),
        ("a: \"\\q\"\n", 1), ("a: {b\n", 2),
    ])
    func noYAML(text: String, line: Int) {
        let error = #expect(throws: ParseError.self) { try YAMLNode.parse(text) }
        #expect(error?.line == line)
        #expect(error?.message.isEmpty == false)
    }

    @Test func notUTF8() {
        #expect(throws: ParseError.self) { try YAMLNode.parse([0x61, 0x3A, 0x20, 0xFF, 0xFE]) }
        #expect(throws: ParseError.self) { try YAMLNode.parse([0x61, 0x3A, 0x20, 0x00, 0x0A]) }
    }

    @Test func depthIsBounded() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + "x" + String(repeating: "]", count: depth)
        }
        _ = try YAMLNode.parse(nested(64))
        #expect(throws: ParseError.self) { try YAMLNode.parse(nested(65)) }
        #expect(throws: ParseError.self) { try YAMLNode.parse(nested(50_000)) }
    }
}
