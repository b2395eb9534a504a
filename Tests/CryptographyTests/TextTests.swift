import Cryptography
import Testing

@Suite struct TextTests {
    @Test(arguments: [  // RFC 4648 section 10
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func base64(plain: String, encoded: String) {
        #expect(Base64.encode(Array(plain.utf8)) == encoded)
        #expect(Base64.decode(encoded) == Array(plain.utf8))
    }

    @Test(arguments: ["Zg", "Zg=", "Zg===", "=", "====", "Zh==", "Zm9=", "Zm 9v", "Zg==Zg==", "Zm-_", "Zmé=", "Z==="])
    func base64Refused(text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test func everyLengthComesBack() {
        for count in 0..<300 {
            let bytes = RandomBytes.make(count)
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
            #expect(Hexadecimal.decode(Hexadecimal.encode(bytes)) == bytes)
        }
    }

    @Test func hexadecimal() {
        #expect(Hexadecimal.encode([0x00, 0x9f, 0xff]) == "009fff")
        #expect(Hexadecimal.decode("009FfF") == [0x00, 0x9f, 0xff])
        for text in ["0", "0g", " 0", "+1", "é"] { #expect(Hexadecimal.decode(text) == nil) }
    }

    @Test func randomBytesDiffer() {
        #expect(RandomBytes.make(0).isEmpty)
        #expect(RandomBytes.make(1000).count == 1000)
        #expect(RandomBytes.make(32) != RandomBytes.make(32))
        // The last chunk is filled too: 64 zero bytes don't happen.
        #expect(RandomBytes.make(320).suffix(64).contains { $0 != 0 })
    }
}
