import CCurl
import Glibc

/// One request on its way. After `TransferLoop.submit` only that loop's thread touches it, but for the two flags, which
/// the loop's lock guards.
final class Transfer: @unchecked Sendable {
    /// Most bytes of headers in an answer.
    static let maximumHeaderBytes = 256 << 10

    let request: HTTPRequest
    private let settings: HTTPSettings
    private var continuation: CheckedContinuation<Result<HTTPResponse, HTTPError>, Never>?

    /// Guarded by the loop's lock.
    var isSubmitted = false
    var isCancelled = false

    /// Set while curl works on it.
    var easy: EasyHandle?
    private(set) var isFinished = false

    private var headers: [(name: String, value: String)] = []
    private var headerBytes = 0
    private var announcedBytes: Int?
    private var body: [UInt8] = []
    /// Where the body goes in pieces; nil: it is collected.
    private var pieces: BodyPieces?
    private var isBodyBegun = false
    private var sentOffset: Int64 = 0
    /// How many times the request went out.
    private var sendings = 0
    /// Why a callback stopped the transfer; curl itself only knows that one did.
    private var failure: HTTPError?

    init(_ request: HTTPRequest, _ settings: HTTPSettings) {
        self.request = request
        self.settings = settings
    }

    func attach(_ continuation: CheckedContinuation<Result<HTTPResponse, HTTPError>, Never>) {
        self.continuation = continuation
    }

    func finish(_ result: Result<HTTPResponse, HTTPError>) {
        isFinished = true
        continuation?.resume(returning: result)
        continuation = nil
    }

    /// The outcome, once curl is done.
    func result(_ code: CURLcode, _ easy: EasyHandle) -> Result<HTTPResponse, HTTPError> {
        if let failure { return .failure(failure) }
        guard code == CURLE_OK else {
            let text = easy.message(code, hiding: request.url)
            return .failure(HTTPError(code, text, wasSent: sendings > 0))
        }
        if let pieces, !pieces.flush() { return .failure(.receiverFailed) }
        return .success(
            HTTPResponse(status: easy.status, headers: headers, body: body, wasRepeated: sendings > 1))
    }

    // MARK: What curl calls

    /// A new copy of the request is about to go out.
    func willSend() {
        sendings += 1
        headers.removeAll(keepingCapacity: true)
        body.removeAll(keepingCapacity: true)
        pieces = nil
        isBodyBegun = false
    }

    func receiveHeader(_ line: UnsafeRawBufferPointer) -> Bool {
        headerBytes += line.count
        guard headerBytes <= Self.maximumHeaderBytes else {
            failure = .broken("more than \(Self.maximumHeaderBytes) bytes of headers")
            return false
        }
        if line.starts(with: "HTTP/".utf8) {
            // The status line: what came before belonged to an interim answer (100 Continue).
            headers.removeAll(keepingCapacity: true)
            announcedBytes = nil
        } else if let header = HeaderLine.parse(line) {
            if header.name == "content-length" { announcedBytes = Int(header.value) }
            headers.append(header)
        }
        return true
    }

    func receive(_ chunk: UnsafeRawBufferPointer) -> Bool {
        if !isBodyBegun { beginBody() }
        if let pieces {
            if pieces.add(chunk) { return true }
            failure = .receiverFailed
            return false
        }
        guard max(announcedBytes ?? 0, body.count + chunk.count) <= settings.maximumBodyBytes else {
            failure = .bodyTooLarge
            return false
        }
        if body.isEmpty {
            let expected = announcedBytes ?? request.expectedBodyBytes ?? 0
            body.reserveCapacity(max(chunk.count, min(expected, settings.maximumBodyBytes)))
        }
        body.append(contentsOf: chunk)
        return true
    }

    private func beginBody() {
        isBodyBegun = true
        guard let receiver = request.receiver, let easy, receiver.accepts(status: easy.status, headers: headers) else {
            return
        }
        let expected = announcedBytes ?? request.expectedBodyBytes ?? settings.pieceBytes
        pieces = BodyPieces(receiver, pieceBytes: settings.pieceBytes, bufferBytes: min(expected, settings.pieceBytes))
    }

    /// Fills the buffer with the body's next bytes; nil stops the transfer.
    func send(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        let count = Int(min(Int64(buffer.count), request.body.lengthBytes - sentOffset))
        guard count > 0 else { return 0 }
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
        switch request.body {
        case .none: return 0
        case .bytes(let bytes):
            let start = Int(sentOffset)
            bytes.withUnsafeBytes { part.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<start + count])) }
        case .source(_, let read):
            guard read(sentOffset, part) else {
                failure = .sourceFailed
                return nil
            }
        }
        sentOffset += Int64(count)
        return count
    }

    func rewind(to offset: Int64) -> Bool {
        guard (0...request.body.lengthBytes).contains(offset) else { return false }
        sentOffset = offset
        return true
    }
}

enum HeaderLine {
    /// `Name: value CRLF` with the name in lower case; nil for the empty line and for what has no colon.
    static func parse(_ line: UnsafeRawBufferPointer) -> (name: String, value: String)? {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > 0 else { return nil }
        let name = String(unsafeUninitializedCapacity: colon) { buffer in
            for index in 0..<colon {
                let byte = line[index]
                let isCapital = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
                buffer[index] = isCapital ? byte | 0x20 : byte
            }
            return colon
        }
        var start = colon + 1
        var end = line.count
        while end > start, isSpace(line[end - 1]) { end -= 1 }
        while start < end, isSpace(line[start]) { start += 1 }
        return (name, String(decoding: line[start..<end], as: UTF8.self))
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}
