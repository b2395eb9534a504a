import Foundation
import Glibc
import HTTPTransport
import Primitives
import Testing

/// Holds a connection's thread long enough for others to come.
func usleepShort() { usleep(5_000) }

@Suite(.timeLimit(.minutes(1)))
struct FailureTests {
    /// What a request fails with, and after how many milliseconds; nil if it doesn't fail.
    private func failure(
        _ transport: HTTPTransport, _ request: HTTPRequest
    ) async -> (error: HTTPError, milliseconds: Int64)? {
        let start = SystemTime().monotonic()
        do {
            _ = try await transport.send(request)
            return nil
        } catch {
            return (error, SystemTime().monotonic().milliseconds(since: start))
        }
    }

    private func withServer(
        _ settings: HTTPSettings = HTTPSettings(), readsBody: Bool = true,
        answer: @escaping @Sendable (TestServer.Request, TestServer.Connection) -> Void,
        _ body: (TestServer, HTTPTransport) async throws -> Void
    ) async throws {
        let server = TestServer(readsBody: readsBody, answer: answer)
        let transport = HTTPTransport(settings)
        defer {
            transport.shutdown()
            server.stop()
        }
        try await body(server, transport)
    }

    @Test(arguments: ["Content-Length: 100\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n9\r\nhalf"])
    func aTruncatedBodyIsBroken(_ answer: String) async throws {
        try await withServer { _, connection in
            connection.send("HTTP/1.1 200 OK\r\n" + answer)
            connection.hangUp()
        } _: { server, transport in
            let failed = try #require(await failure(transport, HTTPRequest(url: server.url)))
            guard case .broken = failed.error else {
                Issue.record("\(failed.error)")
                return
            }
            #expect(failed.error.mayHaveHappened)
        }
    }

    @Test(arguments: [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n", "", "HTTP/1.1 200 OK\r\nX: " + String(repeating: "y", count: 300_000),
    ])
    func whatIsNoAnswerIsBroken(_ answer: String) async throws {
        try await withServer { _, connection in
            connection.send(answer)
            connection.hangUp()
        } _: { server, transport in
            let failed = try #require(await failure(transport, HTTPRequest(url: server.url)))
            guard case .broken = failed.error else {
                Issue.record("\(failed.error)")
                return
            }
        }
    }

    @Test func endlessHeadersAreCutOff() async throws {
        try await withServer { _, connection in
            connection.send("HTTP/1.1 200 OK\r\n")
            for _ in 0..<100 { connection.send("X-Y: \(String(repeating: "y", count: 10_000))\r\n") }
            connection.hangUp()
        } _: { server, transport in
            let failed = try #require(await failure(transport, HTTPRequest(url: server.url)))
            #expect(failed.error == .broken("more than 262144 bytes of headers"))
        }
    }

    @Test func silenceTimesOut() async throws {
        try await withServer { _, connection in
            connection.awaitEnd()
        } _: { server, transport in
            var request = HTTPRequest(url: server.url)
            request.timeouts.stallMilliseconds = 1000
            let stalled = try #require(await failure(transport, request))
            guard case .timedOut = stalled.error else {
                Issue.record("\(stalled.error)")
                return
            }
            #expect((900..<20_000).contains(stalled.milliseconds))

            request.timeouts = HTTPTimeouts(totalMilliseconds: 200)
            let late = try #require(await failure(transport, request))
            guard case .timedOut = late.error else {
                Issue.record("\(late.error)")
                return
            }
            #expect((190..<20_000).contains(late.milliseconds))
        }
    }

    @Test func aRefusedConnectionIsNamed() async throws {
        let (listener, port) = TestServer.listen(backlog: 1)
        close(listener)
        let transport = HTTPTransport()
        defer { transport.shutdown() }
        let url = "http://somebody:hush@127.0.0.1:\(port)/key?X-Amz-Signature=hush"
        let failed = try #require(await failure(transport, HTTPRequest(url: url)))
        guard case .connect(let text) = failed.error else {
            Issue.record("\(failed.error)")
            return
        }
        #expect(text.contains("127.0.0.1"))
        #expect(!"\(failed.error)".contains("hush"))
        #expect(!failed.error.mayHaveHappened)
    }

    @Test func anUnknownHostIsNamed() async throws {
        let transport = HTTPTransport()
        defer { transport.shutdown() }
        let failed = try #require(await failure(transport, HTTPRequest(url: "http://bucket.invalid/")))
        guard case .resolve(let text) = failed.error else {
            Issue.record("\(failed.error)")
            return
        }
        #expect(text.contains("bucket.invalid"))
    }

    @Test func aConnectionThatDoesNotComeAboutTimesOut() async throws {
        // With its queue full, a listener ignores who knocks.
        let (listener, port) = TestServer.listen(backlog: 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let fillers = (0..<4).map { _ in socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0) }
        for filler in fillers {
            withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    _ = connect(filler, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
        let transport = HTTPTransport()
        defer {
            transport.shutdown()
            for descriptor in fillers + [listener] { close(descriptor) }
        }
        var request = HTTPRequest(method: "PUT", url: "http://127.0.0.1:\(port)/")
        request.timeouts.connectMilliseconds = 300
        let failed = try #require(await failure(transport, request))
        guard case .connect = failed.error else {
            Issue.record("\(failed.error)")
            return
        }
        #expect((250..<8000).contains(failed.milliseconds))
    }

    @Test func whatDoesNotSpeakTLSIsATLSError() async throws {
        let server = TestServer(greeting: "220 mail.example ESMTP\r\n") { _, _ in }
        let transport = HTTPTransport()
        defer {
            transport.shutdown()
            server.stop()
        }
        let url = "https://127.0.0.1:\(server.port)/?token=hush"
        let failed = try #require(await failure(transport, HTTPRequest(url: url)))
        guard case .tls = failed.error else {
            Issue.record("\(failed.error)")
            return
        }
        #expect(!failed.error.mayHaveHappened)
        #expect(!"\(failed.error)".contains("hush"))
    }

    @Test func cancellingEndsARequestUnderWay() async throws {
        try await withServer { _, connection in
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            connection.awaitEnd()
        } _: { server, transport in
            let url = server.url
            let task = Task { await failure(transport, HTTPRequest(url: url)) }
            while server.statistics.requests.isEmpty { await SystemTime().sleep(milliseconds: 2) }
            task.cancel()
            let failed = try #require(await task.value)
            #expect(failed.error == .cancelled)
            #expect(failed.milliseconds < 5000)
        }
    }

    @Test func cancellingEndsARequestThatWaits() async throws {
        var settings = HTTPSettings()
        settings.concurrentRequests = 1
        try await withServer(settings) { _, connection in
            connection.awaitEnd()
        } _: { server, transport in
            let url = server.url
            let first = Task { await failure(transport, HTTPRequest(url: url)) }
            while server.statistics.requests.isEmpty { await SystemTime().sleep(milliseconds: 2) }
            let second = Task { await failure(transport, HTTPRequest(url: url)) }
            await SystemTime().sleep(milliseconds: 20)
            second.cancel()
            #expect(await second.value?.error == .cancelled)
            // One that is cancelled before it is made.
            let third = Task { () -> HTTPError? in
                withUnsafeCurrentTask { $0?.cancel() }
                return await failure(transport, HTTPRequest(url: url))?.error
            }
            #expect(await third.value == .cancelled)
            #expect(server.statistics.requests.count == 1)
            first.cancel()
            #expect(await first.value?.error == .cancelled)
        }
    }

    @Test func shuttingDownEndsAllRequests() async throws {
        var settings = HTTPSettings()
        settings.concurrentRequests = 4
        try await withServer(settings) { _, connection in
            connection.awaitEnd()
        } _: { server, transport in
            let url = server.url
            let tasks = (0..<12).map { _ in Task { await failure(transport, HTTPRequest(url: url))?.error } }
            while server.statistics.requests.count < 4 { await SystemTime().sleep(milliseconds: 2) }
            transport.shutdown()
            for task in tasks { #expect(await task.value == .cancelled) }
            #expect(await failure(transport, HTTPRequest(url: url))?.error == .cancelled)
            transport.shutdown()
        }
    }

    @Test func manyTransportsComeAndGo() async throws {
        let server = TestServer { _, connection in connection.respond() }
        defer { server.stop() }
        for _ in 0..<30 {
            let response = try await HTTPTransport().send(HTTPRequest(url: server.url))
            #expect(response.status == 200)
        }
    }

    @Test func aSourceThatGivesUpEndsTheRequest() async throws {
        try await withServer { _, connection in
            connection.respond()
        } _: { server, transport in
            let body = HTTPBody.source(lengthBytes: 1 << 20) { offset, buffer in
                memset(buffer.baseAddress!, 7, buffer.count)
                return offset < 100_000
            }
            let failed = try #require(
                await failure(transport, HTTPRequest(method: "PUT", url: server.url, body: body)))
            #expect(failed.error == .sourceFailed)
            #expect(server.statistics.requests.isEmpty)
            // The half-sent connection is not used again.
            #expect(try await transport.send(HTTPRequest(url: server.url)).status == 200)
        }
    }

    @Test(arguments: [true, false])
    func bodiesBeyondTheLimitAreRefused(_ isAnnounced: Bool) async throws {
        var settings = HTTPSettings()
        settings.maximumBodyBytes = 1000
        try await withServer(settings) { request, connection in
            let size = request.target == "/fits" ? 1000 : 1001
            if isAnnounced { return connection.respond(body: pattern(size)) }
            connection.send("HTTP/1.0 200 OK\r\n\r\n")
            connection.send(pattern(size))
            connection.hangUp()
        } _: { server, transport in
            let url = server.url
            let fitting = try await transport.send(HTTPRequest(url: url + "/fits"))
            #expect(fitting.body.count == 1000)
            let over = await failure(transport, HTTPRequest(url: url + "/over"))
            #expect(over?.error == .bodyTooLarge)
        }
    }

    @Test func whatCouldSmuggleIsRefused() async throws {
        let transport = HTTPTransport()
        defer { transport.shutdown() }
        let url = "http://127.0.0.1:1/"
        let requests = [
            HTTPRequest(method: "GET /x HTTP/1.1\r\n", url: url),
            HTTPRequest(method: "", url: url),
            HTTPRequest(url: "file:///etc/passwd"),
            HTTPRequest(url: "http://127.0.0.1:1/a b"),
            HTTPRequest(url: "http://127.0.0.1:1/\r\nX: y"),
            HTTPRequest(url: "http://[::1/"),
            HTTPRequest(url: url, headers: [("X", "a\r\nY: b")]),
            HTTPRequest(url: url, headers: [("X: y", "a")]),
            HTTPRequest(url: url, headers: [("", "a")]),
            HTTPRequest(method: "HEAD", url: url, body: .bytes([1])),
        ]
        for request in requests {
            guard case .invalidRequest = await failure(transport, request)?.error else {
                Issue.record("\(request.method) \(request.url) \(request.headers) was accepted")
                continue
            }
        }
    }
}
