import Parsing
import Testing

private func parse(_ text: String) throws(ParseError) -> INIFile { try INIFile.parse(Array(text.utf8)) }

@Suite struct INIFileTests {
    @Test func credentialsAndConfig() throws {
        let file = try parse(
            """
            # a comment
            ; another
            [default]
            aws_access_key_id = AKIDEXAMPLE
            aws_secret_access_key=wJalr/+=#;EXAMPLE==

            [profile  work]   # the prefix is part of the name
            Region = eu-west-1 ; not 2
            s3 =
              max_concurrent_requests = 20
              addressing_style = path
            output = json
            [profile "two words"]
            """)
        #expect(file.sections.count == 3)
        #expect(file["default"]?["aws_access_key_id"] == "AKIDEXAMPLE")
        #expect(file["default"]?["aws_secret_access_key"] == "wJalr/+=#;EXAMPLE==")
        #expect(file["profile work"] == ["region": "eu-west-1", "s3": "", "output": "json"])
        #expect(file["profile two words"] == [:])
        #expect(file["work"] == nil)
    }

    @Test func linesEndAsTheyLike() throws {
        #expect(try parse("\u{FEFF}[a]\r\nb = c\r\n")["a"] == ["b": "c"])
        #expect(try parse("[a]\nb = c")["a"] == ["b": "c"])
        #expect(try parse("").sections.isEmpty)
        #expect(try parse("  \n#[a]\n").sections.isEmpty)
    }

    @Test func sectionsMergeAndLaterWins() throws {
        let file = try parse("[a]\nx = 1\ny = 2\n[b]\nx = 3\n[a]\nx = 4\n")
        #expect(file["a"] == ["x": "4", "y": "2"])
    }

    @Test func aWholeSectionMayBeIndented() throws {
        #expect(try parse("[a]\n  x = 1\n  y = 2\n    z = 3\n")["a"] == ["x": "1", "y": "2"])
    }

    @Test(arguments: [
        ("x = 1\n", 1), ("[a\nx = 1\n", 1), ("[a]\nx = 1\nsecret\n", 3), ("[a]\n= 1\n", 2), ("[a] x\n", 1),
    ])
    func errorsNameTheLineAndNotItsText(text: String, line: Int) {
        let error = #expect(throws: ParseError.self) { try parse(text) }
        #expect(error?.line == line)
        #expect(error?.description.contains("secret") == false)
    }
}
