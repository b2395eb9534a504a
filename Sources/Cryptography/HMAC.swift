import COpenSSL

/// Message authentication with a hash (RFC 2104). Thread-safe.
public enum HMAC {
    /// 32 bytes.
    public static func sha256(key: [UInt8], message: [UInt8]) -> [UInt8] { sha256.code(key: key, message: message) }
    /// 20 bytes. Only for protocols that still want it.
    public static func sha1(key: [UInt8], message: [UInt8]) -> [UInt8] { sha1.code(key: key, message: message) }

    private static let sha256 = Method(digest: "SHA256", lengthBytes: 32)
    private static let sha1 = Method(digest: "SHA1", lengthBytes: 20)

    /// A context without a key, which each use duplicates: cheaper than to fetch and set up a new one.
    private struct Method: @unchecked Sendable {  // The template is only read.
        let template: OpaquePointer
        let lengthBytes: Int

        init(digest: String, lengthBytes: Int) {
            guard let mac = EVP_MAC_fetch(nil, "HMAC", nil), let context = pail_mac_context(mac, digest) else {
                fatalError("libcrypto has no HMAC with \(digest)")
            }
            template = context
            self.lengthBytes = lengthBytes
        }

        func code(key: [UInt8], message: [UInt8]) -> [UInt8] {
            guard let context = EVP_MAC_CTX_dup(template) else { fatalError("libcrypto ran out of memory") }
            defer { EVP_MAC_CTX_free(context) }
            // Keys are padded with zeros, so this is the empty key, which libcrypto takes for none at all.
            let key = key.isEmpty ? [0] : key
            return [UInt8](unsafeUninitializedCapacity: lengthBytes) { output, count in
                let done =
                    EVP_MAC_init(context, key, key.count, nil) == 1
                    && EVP_MAC_update(context, message, message.count) == 1
                    && EVP_MAC_final(context, output.baseAddress, &count, lengthBytes) == 1
                precondition(done && count == lengthBytes, "libcrypto failed to compute an HMAC")
            }
        }
    }
}
