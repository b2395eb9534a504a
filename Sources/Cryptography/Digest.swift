import COpenSSL

/// A hash function of libcrypto, fetched once (EVP_MD_fetch(3): fetching costs more than hashing a short message).
struct Algorithm: @unchecked Sendable {  // An EVP_MD doesn't change after it was fetched.
    let method: OpaquePointer
    let lengthBytes: Int

    init(_ name: String) {
        guard let method = EVP_MD_fetch(nil, name, nil) else { fatalError("libcrypto has no \(name)") }
        self.method = method
        lengthBytes = Int(EVP_MD_get_size(method))
    }

    static let sha256 = Algorithm("SHA256")
    static let md5 = Algorithm("MD5")

    func hash(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: lengthBytes) { output, count in
            count = lengthBytes
            let done = EVP_Digest(bytes.baseAddress, bytes.count, output.baseAddress, nil, method, nil)
            precondition(done == 1, "libcrypto ran out of memory")
        }
    }
}

/// A hash that is fed in pieces. A value: a copy goes its own way.
struct Digest: Sendable {
    /// Changed only while one `Digest` refers to it.
    private final class Context: @unchecked Sendable {
        let pointer: OpaquePointer

        init() {
            guard let pointer = EVP_MD_CTX_new() else { fatalError("libcrypto ran out of memory") }
            self.pointer = pointer
        }

        convenience init(copying other: Context) {
            self.init()
            precondition(EVP_MD_CTX_copy_ex(pointer, other.pointer) == 1, "libcrypto ran out of memory")
        }

        deinit { EVP_MD_CTX_free(pointer) }
    }

    private var context: Context
    private let lengthBytes: Int

    init(_ algorithm: Algorithm) {
        context = Context()
        lengthBytes = algorithm.lengthBytes
        precondition(EVP_DigestInit_ex2(context.pointer, algorithm.method, nil) == 1, "libcrypto ran out of memory")
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        if !isKnownUniquelyReferenced(&context) { context = Context(copying: context) }
        let done = EVP_DigestUpdate(context.pointer, bytes.baseAddress, bytes.count)
        precondition(done == 1, "libcrypto failed to hash")
    }

    func finish() -> [UInt8] {
        let final = Context(copying: context)
        return [UInt8](unsafeUninitializedCapacity: lengthBytes) { output, count in
            count = lengthBytes
            precondition(EVP_DigestFinal_ex(final.pointer, output.baseAddress, nil) == 1, "libcrypto failed to hash")
        }
    }
}
