/// What to send. Headers go out as they are; `Host`, `Content-Length` and `User-Agent` are added by the transport.
public struct HTTPRequest: Sendable {
    /// In capitals: "GET".
    public var method: String
    /// Absolute, `http` or `https`, percent-encoded; sent as it is (`/../` stays).
    public var url: String
    public var headers: [(name: String, value: String)]
    public var body: HTTPBody
    /// Takes the answer's body as it comes; nil: it is collected.
    public var receiver: (any HTTPReceiving)?
    /// How long the answer's body will be about, where the server doesn't say: what to reserve.
    public var expectedBodyBytes: Int?
    public var timeouts: HTTPTimeouts

    public init(
        method: String = "GET", url: String, headers: [(name: String, value: String)] = [], body: HTTPBody = .none,
        receiver: (any HTTPReceiving)? = nil, expectedBodyBytes: Int? = nil, timeouts: HTTPTimeouts = HTTPTimeouts()
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.receiver = receiver
        self.expectedBodyBytes = expectedBodyBytes
        self.timeouts = timeouts
    }
}

/// The bytes that go with a request.
public enum HTTPBody: Sendable {
    /// No body. PUT and POST say `Content-Length: 0`.
    case none
    case bytes([UInt8])
    /// Exactly `lengthBytes` bytes, asked for piece by piece on a thread of the transport, in order, but again from the
    /// start when a request has to be repeated on a new connection. `read` fills the whole buffer with the bytes from
    /// the offset on; false ends the request with `HTTPError.sourceFailed`.
    case source(lengthBytes: Int64, read: @Sendable (_ offset: Int64, _ buffer: UnsafeMutableRawBufferPointer) -> Bool)

    public var lengthBytes: Int64 {
        switch self {
        case .none: 0
        case .bytes(let bytes): Int64(bytes.count)
        case .source(let lengthBytes, _): lengthBytes
        }
    }
}

/// Takes the body of an answer piece by piece. Called on a thread of the transport, which moves the bytes of others too:
/// be quick.
public protocol HTTPReceiving: Sendable {
    /// Whether the body of an answer with this status and these headers is wanted in pieces. It is collected otherwise,
    /// as the bodies of refusals should be.
    func accepts(status: Int, headers: HTTPHeaders) -> Bool
    /// In order; each piece but the last is `HTTPSettings.pieceBytes` long. False ends the request with
    /// `HTTPError.receiverFailed`.
    func receive(_ piece: UnsafeRawBufferPointer) -> Bool
}

/// Names in lower case, in the order of the answer, repeated ones kept apart.
public typealias HTTPHeaders = [(name: String, value: String)]

/// How long a request may take.
public struct HTTPTimeouts: Sendable, Equatable {
    /// Until the connection stands, TLS included.
    public var connectMilliseconds: Int64
    /// Without a byte in either direction, so also how long the server may think; in whole seconds, rounded up. 0: for
    /// ever. The silence is noticed up to 6 s late if bytes had been flowing.
    public var stallMilliseconds: Int64
    /// From when the request is begun (not while it waits for its turn) to the last byte.
    public var totalMilliseconds: Int64?

    public init(
        connectMilliseconds: Int64 = 10_000, stallMilliseconds: Int64 = 30_000, totalMilliseconds: Int64? = nil
    ) {
        self.connectMilliseconds = connectMilliseconds
        self.stallMilliseconds = stallMilliseconds
        self.totalMilliseconds = totalMilliseconds
    }
}

/// What came back, whatever the status: 404 is an answer, not an `HTTPError`.
public struct HTTPResponse: Sendable {
    public var status: Int
    public var headers: HTTPHeaders
    /// As many bytes as the server announced, if it did; empty if the request's receiver took them.
    public var body: [UInt8]
    /// Whether the request went out twice: a kept-alive connection broke without a byte of an answer, and this is the
    /// answer on a new one. The first copy may have been carried out, so a "condition failed" may be our own doing.
    public var wasRepeated: Bool

    public init(
        status: Int, headers: HTTPHeaders = [], body: [UInt8] = [], wasRepeated: Bool = false
    ) {
        self.status = status
        self.headers = headers
        self.body = body
        self.wasRepeated = wasRepeated
    }

    /// The first value of a header, whatever the case of the name.
    public func header(_ name: String) -> String? {
        let wanted = name.lowercased()
        return headers.first { $0.name == wanted }?.value
    }
}

/// Sends requests: the seam at which tests put a server of their own.
public protocol HTTPSending: Sendable {
    /// Returns the answer; cancelling the task ends the request soon with `.cancelled`. Any number may run at once.
    func send(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse
}
