import HTTPTransport
import Primitives

/// A request to the bucket or to an object in it, before it has an address, a time and a signature.
struct S3Request: Sendable {
    typealias Headers = [(name: String, value: String)]

    enum Body: Sendable {
        case none
        case bytes([UInt8])
        /// `sha256` in hexadecimal; nil: not signed (over TLS).
        case part(PartBody, sha256: String?)
    }

    /// For errors: "read".
    var operation: String
    var method: String
    /// nil: the bucket itself.
    var key: ByteString?
    var query: [(name: String, value: ByteString)] = []
    var headers: Headers = []
    var body = Body.none
    /// Statuses beside 2xx that are an answer and no error.
    var accepted: Set<Int> = []
    var expectedBodyBytes: Int?
    /// Takes the answer's body as it comes.
    var receiver: RangeReceiver?
    /// Whether the server may think for long before it answers.
    var isSlow = false

    init(_ operation: String, _ method: String, _ key: ByteString?) {
        self.operation = operation
        self.method = method
        self.key = key
    }
}
