import Cryptography
import Testing

private func ascii(_ text: String) -> [UInt8] { Array(text.utf8) }

private let hmacVectors: [([UInt8], [UInt8], String)] = [
    // RFC 4231 test cases 1, 2, 3 and 6; the last is known from implementations.
    (
        [UInt8](repeating: 0x0b, count: 20), ascii("Hi There"),
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    ),
    (
        ascii("Jefe"), ascii("what do ya want for nothing?"),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    ),
    (
        [UInt8](repeating: 0xaa, count: 20), [UInt8](repeating: 0xdd, count: 50),
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
    ),
    (
        [UInt8](repeating: 0xaa, count: 131), ascii("Test Using Larger Than Block-Size Key - Hash Key First"),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    ),
    ([], [], "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"),
]

// RFC 3720 B.4
private let crcVectors: [([UInt8], UInt32)] = [
    ([UInt8](repeating: 0, count: 32), 0x8A91_36AA), ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
    (Array(0..<32), 0x46DD_794E), (Array((0..<32).reversed()), 0x113F_DB5C), (ascii("123456789"), 0xE306_9283),
    ([], 0),
]

@Suite struct HashTests {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])  // FIPS 180-4 examples
    func sha256(message: String, digest: String) {
        #expect(Hexadecimal.encode(SHA256.hash(ascii(message))) == digest)
    }

    @Test(arguments: [
        ("", "d41d8cd98f00b204e9800998ecf8427e"), ("abc", "900150983cd24fb0d6963f7d28e17f72"),
        ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
    ])  // RFC 1321 A.5
    func md5(message: String, digest: String) {
        #expect(Hexadecimal.encode(MD5.hash(ascii(message))) == digest)
    }

    @Test func piecesMakeTheSameHashAsTheWhole() {
        let bytes = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        for piece in [1, 63, 64, 65, 4096, 20_000] {
            var sha256 = SHA256Hasher()
            var md5 = MD5Hasher()
            var crc = CRC32C()
            for start in stride(from: 0, to: bytes.count, by: piece) {
                let part = Array(bytes[start..<min(start + piece, bytes.count)])
                sha256.update(part)
                md5.update(part)
                crc.update(part)
            }
            #expect(sha256.finish() == SHA256.hash(bytes))
            #expect(md5.finish() == MD5.hash(bytes))
            #expect(crc == CRC32C(bytes))
        }
    }

    @Test func aCopiedHasherGoesItsOwnWay() {
        var one = SHA256Hasher()
        one.update(ascii("a"))
        var other = one
        one.update(ascii("bc"))
        other.update(ascii("x"))
        #expect(one.finish() == SHA256.hash(ascii("abc")))
        #expect(other.finish() == SHA256.hash(ascii("ax")))
        one.update(ascii("d"))
        #expect(one.finish() == SHA256.hash(ascii("abcd")))
    }

    @Test(arguments: hmacVectors)
    func hmacSHA256(key: [UInt8], message: [UInt8], code: String) {
        #expect(Hexadecimal.encode(HMAC.sha256(key: key, message: message)) == code)
    }

    @Test func hmacSHA1() {  // RFC 2202 test case 2
        let code = HMAC.sha1(key: ascii("Jefe"), message: ascii("what do ya want for nothing?"))
        #expect(Hexadecimal.encode(code) == "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
    }

    @Test func manyThreadsShareTheMethods() async {
        let right = HMAC.sha256(key: [1], message: [2])
        let codes = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 {
                group.addTask { (0..<500).allSatisfy { _ in HMAC.sha256(key: [1], message: [2]) == right } }
            }
            return await group.reduce(into: true) { $0 = $0 && $1 }
        }
        #expect(codes)
    }

    @Test(arguments: crcVectors)
    func crc32c(bytes: [UInt8], value: UInt32) {
        #expect(CRC32C(bytes).value == value)
    }

    @Test func crc32cAsHeadersHaveIt() {
        #expect(CRC32C(ascii("123456789")).base64 == "4waSgw==")
        #expect(CRC32C().base64 == "AAAAAA==")
    }
}
