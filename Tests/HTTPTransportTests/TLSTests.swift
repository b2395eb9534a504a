import Foundation
import HTTPTransport
import Primitives
import Testing

private let openssl = "/usr/bin/openssl"

/// `openssl s_server` with a certificate of its own for localhost, made for the test.
private final class TLSServer {
    let folder: URL
    private let process = Process()
    private(set) var port = 0

    var certificate: String { folder.appendingPathComponent("cert.pem").path }

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("pail-tls-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let make = Process()
        make.executableURL = URL(fileURLWithPath: openssl)
        make.currentDirectoryURL = folder
        make.arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out",
            "cert.pem",
        ]
        make.standardError = FileHandle.nullDevice
        try make.run()
        make.waitUntilExit()

        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: openssl)
        process.currentDirectoryURL = folder
        process.arguments = ["s_server", "-accept", "127.0.0.1:0", "-cert", "cert.pem", "-key", "key.pem", "-www"]
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        // "ACCEPT 127.0.0.1:PORT"
        var text = ""
        while !text.contains("ACCEPT ") || !text.hasSuffix("\n") {
            let data = output.fileHandleForReading.availableData
            guard !data.isEmpty else { throw POSIXError(.ECHILD) }
            text += String(decoding: data, as: UTF8.self)
        }
        port = Int(text.split(separator: ":").last?.prefix { $0.isNumber } ?? "") ?? 0
    }

    func stop() {
        // A child inherits a mask in which SIGTERM may be blocked.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: folder)
    }
}

@Suite(.timeLimit(.minutes(1)), .enabled(if: FileManager.default.isExecutableFile(atPath: openssl)))
struct TLSTests {
    private func send(_ settings: HTTPSettings, _ url: String) async -> Result<HTTPResponse, HTTPError> {
        let transport = HTTPTransport(settings)
        defer { transport.shutdown() }
        do {
            return .success(try await transport.send(HTTPRequest(url: url)))
        } catch {
            return .failure(error)
        }
    }

    @Test func certificatesAreCheckedAgainstWhatIsTrusted() async throws {
        let server = try TLSServer()
        defer { server.stop() }
        var settings = HTTPSettings()
        settings.proxy = ""
        /// In one word, or in the error's.
        func outcome(_ host: String) async -> String {
            switch await send(settings, "https://\(host):\(server.port)/?X-Amz-Signature=hush") {
            case .success(let response): "\(response.status)"
            case .failure(.tls(let text)): text.contains("hush") ? "leak" : "untrusted"
            case .failure(let error): "\(error)"
            }
        }
        let first = await outcome("localhost")
        #expect(first == "untrusted")
        settings.caFile = server.certificate
        #expect(await outcome("localhost") == "200")
        // The right certificate, the wrong name.
        #expect(await outcome("127.0.0.1") == "untrusted")
        settings.caFile = nil
        settings.verifyTLS = false
        #expect(await outcome("127.0.0.1") == "200")
        settings.verifyTLS = true
        settings.caFile = "/nonexistent/cert.pem"
        #expect(await outcome("localhost") == "untrusted")
    }
}
