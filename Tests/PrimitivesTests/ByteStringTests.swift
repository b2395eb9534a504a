import Primitives
import Testing

@Suite struct ByteStringTests {
    @Test func bytesDecideNotCharacters() {
        let composed = ByteString("\u{E9}")
        let decomposed = ByteString("e\u{301}")
        #expect("\u{E9}" == "e\u{301}")
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed]).count == 2)
    }

    @Test func orderIsThatOfBytes() {
        // By characters, or by UTF-16 units, the last two would stand the other way round.
        let sorted: [ByteString] = ["", "A", "B", "a", "a\0", "aa", "a\u{E9}", "b", "\u{FFFD}", "\u{1F600}"]
        #expect(sorted.shuffled().sorted() == sorted)
        #expect(!(ByteString("a") < ByteString("a")))
    }

    @Test func textOnlyWhereItIsUTF8() {
        #expect(ByteString("zwölf").text == "zwölf")
        let bytes = ByteString(bytes: [0x61, 0xFF, 0x62])
        #expect(bytes.text == nil)
        #expect(bytes.description == "a\u{FFFD}b")
    }

    @Test func cStringEndsAtNUL() {
        let bytes: [CChar] = [0x61, -1, 0, 0x62]
        bytes.withUnsafeBufferPointer { #expect(ByteString(cString: $0.baseAddress!).bytes == [0x61, 0xFF]) }
    }

    @Test func prefixesAndSuffixes() {
        let key: ByteString = "dir/file"
        #expect(key.hasPrefix("dir/") && key.hasPrefix("") && key.hasPrefix(key))
        #expect(!key.hasPrefix("dir/file2") && !key.hasPrefix("ir"))
        #expect(key.hasSuffix("file") && key.hasSuffix("") && key.hasSuffix(key))
        #expect(!key.hasSuffix("a dir/file") && !key.hasSuffix("fil"))
        #expect(key.dropFirst(4) == "file" && key.dropLast(5) == "dir")
        #expect(key.dropFirst(100).isEmpty && key.dropLast(100).isEmpty)
        #expect(key.dropLast(4) + "x" == "dir/x")
    }

    @Test(arguments: [
        ("a/b", ["a", "b"]), ("", [""]), ("/", ["", ""]), ("a//b/", ["a", "", "b", ""]), ("ab", ["ab"]),
    ])
    func splitKeepsEmptyParts(text: String, parts: [String]) {
        #expect(ByteString(text).split(separator: UInt8(ascii: "/")) == parts.map { ByteString($0) })
    }
}
