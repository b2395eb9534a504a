import Parsing
import Testing

private func parse(_ text: String) throws(ParseError) -> XMLElement { try XMLElement.parse(Array(text.utf8)) }

@Suite struct XMLTests {
    @Test func aListing() throws {
        let root = try parse(
            """
            <?xml version="1.0" encoding="UTF-8"?>
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
              <Name>bucket</Name><Prefix/>
              <Contents><Key> a &amp; b&#x20;&lt;ü&gt; </Key><Size>3</Size></Contents>
              <Contents><Key><![CDATA[<c>]]></Key><Size>0</Size></Contents>
            </ListBucketResult>
            """)
        #expect(root.name == "ListBucketResult")
        #expect(root["Name"]?.text == "bucket")
        #expect(root["Prefix"]?.text == "" && root["Prefix"]?.children.isEmpty == true)
        #expect(root["Missing"] == nil)
        #expect(root.all("Contents").map { $0["Key"]?.text } == [" a & b <ü> ", "<c>"])
        #expect(root.all("Contents").map { $0["Size"]?.text } == ["3", "0"])
    }

    @Test func prefixesAreDropped() throws {
        let root = try parse("<D:multistatus xmlns:D='DAV:'><D:href>/x</D:href></D:multistatus>")
        #expect(root.name == "multistatus" && root["href"]?.text == "/x")
    }

    @Test func whiteSpaceBeforeTheDeclaration() throws {
        #expect(try parse("\r\n  \t<?xml version='1.0'?>\n<a/>").name == "a")
    }

    @Test func everyTruncationIsAnError() throws {
        let text = "<a><b>text &amp; more</b><c/></a>"
        _ = try parse(text)
        for count in 0..<text.utf8.count {
            #expect(throws: ParseError.self) { try parse(String(text.prefix(count))) }
        }
    }

    @Test(arguments: [
        "", " ", "text", "<a></b>", "<a/><b/>", "<a>&unknown;</a>", "<a b=c/>", "<a>\u{1}</a>", "<a>\0</a>",
        "<html><br></html>",
    ])
    func refused(text: String) {
        #expect(throws: ParseError.self) { try parse(text) }
    }

    @Test func notUTF8() {
        #expect(throws: ParseError.self) { try XMLElement.parse(Array("<a>".utf8) + [0xFF] + Array("</a>".utf8)) }
    }

    @Test(arguments: [
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
        "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
        "<?xml version='1.0'?>\n<!DOCTYPE a SYSTEM 'http://localhost/a.dtd'><a/>",
    ])
    func entitiesAreRefused(text: String) {
        let error = #expect(throws: ParseError.self) { try parse(text) }
        #expect(error?.message == "document type declarations are not allowed")
    }

    @Test func depthIsBounded() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "<a>", count: depth) + "x" + String(repeating: "</a>", count: depth)
        }
        var element = try parse(nested(64))
        for _ in 1..<64 { element = try #require(element["a"]) }
        #expect(element.text == "x")
        let error = #expect(throws: ParseError.self) { try parse(nested(65)) }
        #expect(error == ParseError(message: "elements nest deeper than 64", line: 1, column: 193))
        #expect(throws: ParseError.self) { try parse(nested(100_000)) }
    }

    @Test func errorsSayWhere() {
        let error = #expect(throws: ParseError.self) { try parse("<a>\n  <b></c>\n</a>") }
        #expect(error?.line == 2)
        #expect(error?.message == "mismatched tag")
    }

    @Test func aThousandKeys() throws {
        let items = (0..<1000).map { "<Contents><Key>key \($0)</Key></Contents>" }.joined()
        let root = try parse("<r>\(items)</r>")
        #expect(root.all("Contents").count == 1000)
        #expect(root.children.last?["Key"]?.text == "key 999")
    }
}
