import Parsing
import Testing

@Suite struct PercentEncodingTests {
    @Test(arguments: [
        ("", ""), ("AZaz09-._~", "AZaz09-._~"), ("a b+c", "a%20b%2Bc"), ("ü", "%C3%BC"), ("100%", "100%25"),
        ("!*'();:@&=$,?#[]\"\n", "%21%2A%27%28%29%3B%3A%40%26%3D%24%2C%3F%23%5B%5D%22%0A"),
    ])
    func encoding(plain: String, encoded: String) {
        #expect(PercentEncoding.encode(Array(plain.utf8), keepSlash: false) == encoded)
        #expect(PercentEncoding.decode(encoded) == Array(plain.utf8))
    }

    @Test func slashes() {
        #expect(PercentEncoding.encode(Array("a/b c".utf8), keepSlash: true) == "a/b%20c")
        #expect(PercentEncoding.encode(Array("a/b c".utf8), keepSlash: false) == "a%2Fb%20c")
    }

    @Test func everyByteComesBack() {
        let bytes = [UInt8](0...255)
        for keepSlash in [false, true] {
            #expect(PercentEncoding.decode(PercentEncoding.encode(bytes, keepSlash: keepSlash)) == bytes)
        }
    }

    @Test func decoding() {
        #expect(PercentEncoding.decode("%c3%bC") == [0xC3, 0xBC])
        #expect(PercentEncoding.decode("a+b") == Array("a+b".utf8))
        #expect(PercentEncoding.decode("a+b%2B", plusIsSpace: true) == Array("a b+".utf8))
        for text in ["%", "%4", "a%4", "%4G", "%G4", "%%41", "% 4", "%+4", "%\u{10}1"] {
            #expect(PercentEncoding.decode(text) == nil, "\(text)")
        }
    }
}
