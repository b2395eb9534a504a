import HTTPTransport
import Primitives
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ExchangeTests {
    /// Runs `body` against a server and a transport that are both ended afterwards.
    private func exchange(
        _ settings: HTTPSettings = HTTPSettings(),
        answer: @escaping @Sendable (TestServer.Request, TestServer.Connection) -> Void,
        _ body: (TestServer, HTTPTransport) async throws -> Void
    ) async throws {
        let server = TestServer(answer: answer)
        let transport = HTTPTransport(settings)
        defer {
            transport.shutdown()
            server.stop()
        }
        try await body(server, transport)
    }

    @Test func getGivesStatusHeadersAndBody() async throws {
        try await exchange { _, connection in
            connection.respond(
                206, headers: ["X-Amz-Meta-NAME:  a: b ", "ETag: \"x\"", "Empty:", "Twice: 1", "TWICE: 2"],
                body: Array("hello".utf8))
        } _: { server, transport in
            let response = try await transport.send(
                HTTPRequest(
                    url: "\(server.url)/a/../b%20c/./d?x=1&y=%2F",
                    headers: [("X-Test", "yes: no"), ("X-Empty", "")]))
            #expect(response.status == 206)
            #expect(response.body == Array("hello".utf8))
            #expect(response.header("ETag") == "\"x\"")
            #expect(response.header("x-amz-meta-name") == "a: b")
            #expect(response.header("empty") == "")
            #expect(response.header("missing") == nil)
            #expect(response.headers.filter { $0.name == "twice" }.map(\.value) == ["1", "2"])
            #expect(!response.wasRepeated)
            let request = try #require(server.statistics.requests.first)
            #expect(request.method == "GET")
            #expect(request.target == "/a/../b%20c/./d?x=1&y=%2F")
            #expect(request.headers["x-test"] == "yes: no")
            #expect(request.headers["x-empty"] == "")
            #expect(request.headers["user-agent"]?.hasPrefix("pail/") == true)
            #expect(request.headers["accept-encoding"] == nil)
            #expect(request.headers["content-length"] == nil)
        }
    }

    @Test func methodsAndBodiesArriveAsGiven() async throws {
        try await exchange { request, connection in
            if request.method == "HEAD" {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
            } else {
                connection.respond(request.method == "DELETE" ? 204 : 200)
            }
        } _: { server, transport in
            func send(_ method: String, _ body: HTTPBody = .none) async throws -> HTTPResponse {
                try await transport.send(
                    HTTPRequest(method: method, url: server.url, headers: [("content-length", "77")], body: body))
            }
            let head = try await send("HEAD")
            #expect(head.header("content-length") == "99999999999")
            #expect(head.body.isEmpty)
            _ = try await send("PUT")
            _ = try await send("PUT", .bytes([]))
            _ = try await send("POST")
            _ = try await send("PUT", .bytes([1, 2, 3]))
            _ = try await send("POST", .bytes([4]))
            #expect(try await send("DELETE").status == 204)
            _ = try await send("DELETE", .bytes([5]))
            _ = try await send("GET")

            let requests = server.statistics.requests
            #expect(
                requests.map(\.method) == ["HEAD", "PUT", "PUT", "POST", "PUT", "POST", "DELETE", "DELETE", "GET"])
            #expect(requests.map(\.body) == [[], [], [], [], [1, 2, 3], [4], [], [5], []])
            #expect(
                requests.map { $0.headers["content-length"] } == [nil, "0", "0", "0", "3", "1", nil, "1", nil])
            #expect(requests.allSatisfy { $0.headers["expect"] == nil && $0.headers["transfer-encoding"] == nil })
            #expect(requests.allSatisfy { $0.headers["content-type"] == nil })
            #expect(server.statistics.connections == 1)
        }
    }

    @Test func bigBodiesArriveWhole() async throws {
        let bytes = pattern(32 << 20)
        try await exchange { request, connection in
            switch request.method {
            case "GET": connection.respond(body: bytes)
            default: connection.respond(same(request.body, bytes) ? 200 : 400)
            }
        } _: { server, transport in
            let got = try await transport.send(HTTPRequest(url: server.url, expectedBodyBytes: bytes.count))
            #expect(same(got.body, bytes))
            let put = try await transport.send(HTTPRequest(method: "PUT", url: server.url, body: .bytes(bytes)))
            #expect(put.status == 200)
            let source = HTTPBody.source(lengthBytes: Int64(bytes.count)) { offset, buffer in
                bytes.withUnsafeBytes {
                    buffer.copyMemory(from: .init(rebasing: $0[Int(offset)..<Int(offset) + buffer.count]))
                }
                return true
            }
            let streamed = try await transport.send(HTTPRequest(method: "PUT", url: server.url, body: source))
            #expect(streamed.status == 200)
            // A large buffer after a small one on the same handle, and back.
            for size in [1, 1 << 20, 10, 100_000] {
                let small = Array(bytes[..<size])
                let response = try await transport.send(
                    HTTPRequest(method: "PUT", url: server.url, body: .bytes(small)))
                #expect(response.status == 400)
                #expect(same(server.statistics.requests.last?.body ?? [], small))
            }
        }
    }

    @Test func chunkedAnswersAndTrailersAndInterimAnswers() async throws {
        try await exchange { _, connection in
            connection.send("HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\n")
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
            for part in ["he", "llo ", "world"] { connection.send("\(part.utf8.count)\r\n\(part)\r\n") }
            connection.send("0\r\nX-Sum: 7\r\n\r\n")
        } _: { server, transport in
            let response = try await transport.send(HTTPRequest(url: server.url, expectedBodyBytes: 3))
            #expect(response.body == Array("hello world".utf8))
            #expect(response.header("x-sum") == "7")
            #expect(response.header("x-interim") == nil)
            #expect(response.status == 200)
        }
    }

    @Test func anAnswerDuringTheUploadIsTheAnswer() async throws {
        let server = TestServer(readsBody: false) { _, connection in
            connection.respond(403, headers: ["Connection: close"], body: Array("no".utf8))
            connection.awaitEnd()
        }
        let transport = HTTPTransport()
        defer {
            transport.shutdown()
            server.stop()
        }
        let bytes = [UInt8](repeating: 1, count: 16 << 20)
        let response = try await transport.send(HTTPRequest(method: "PUT", url: server.url, body: .bytes(bytes)))
        #expect(response.status == 403)
        #expect(response.body == Array("no".utf8))
    }

    @Test func redirectsAreGivenToTheCaller() async throws {
        try await exchange { _, connection in
            connection.respond(307, headers: ["Location: /elsewhere"])
        } _: { server, transport in
            let response = try await transport.send(HTTPRequest(url: server.url))
            #expect(response.status == 307)
            #expect(response.header("location") == "/elsewhere")
            #expect(server.statistics.requests.count == 1)
        }
    }

    @Test func theProxyOfTheSettingsIsAsked() async throws {
        let proxy = TestServer { request, connection in connection.respond(body: Array(request.target.utf8)) }
        var settings = HTTPSettings()
        settings.proxy = proxy.url
        let transport = HTTPTransport(settings)
        defer {
            transport.shutdown()
            proxy.stop()
        }
        let response = try await transport.send(HTTPRequest(url: "http://bucket.invalid/key"))
        #expect(response.body == Array("http://bucket.invalid/key".utf8))
    }

    @Test func connectionsAreKept() async throws {
        try await exchange { _, connection in
            connection.respond(body: [1])
        } _: { server, transport in
            for _ in 0..<50 { _ = try await transport.send(HTTPRequest(url: server.url)) }
            #expect(server.statistics.connections == 1)
            #expect(server.statistics.requests.count == 50)
        }
    }

    @Test func aClosedConnectionFailsNoRequest() async throws {
        try await exchange { _, connection in
            // Announced to nobody.
            connection.respond(body: [1])
            connection.hangUp()
        } _: { server, transport in
            for index in 0..<30 {
                let method = index % 2 == 0 ? "GET" : "PUT"
                let body = index % 2 == 0 ? HTTPBody.none : .bytes([1, 2, 3])
                let response = try await transport.send(HTTPRequest(method: method, url: server.url, body: body))
                #expect(response.status == 200)
            }
            #expect(server.statistics.connections == 30)
        }
    }

    @Test func aRequestThatADyingConnectionSwallowedIsRepeatedAndSaysSo() async throws {
        let bytes = pattern(300_000)
        try await exchange { request, connection in
            if request.connection < 2 && request.number == 1 { return connection.hangUp() }
            connection.respond(same(request.body, bytes) || request.body.isEmpty ? 200 : 400)
        } _: { server, transport in
            #expect(try await !transport.send(HTTPRequest(url: server.url)).wasRepeated)
            let put = try await transport.send(HTTPRequest(method: "PUT", url: server.url, body: .bytes(bytes)))
            #expect(put.status == 200)
            #expect(put.wasRepeated)
            let delete = try await transport.send(HTTPRequest(method: "DELETE", url: server.url))
            #expect(delete.wasRepeated)
            #expect(server.statistics.connections == 3)
        }
    }

    @Test func requestsAreBounded() async throws {
        var settings = HTTPSettings()
        settings.concurrentRequests = 8
        settings.connectionsPerHost = 6
        try await exchange(settings) { _, connection in
            usleepShort()
            connection.respond(body: pattern(5000))
        } _: { server, transport in
            let url = server.url
            let good = await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<100 {
                    group.addTask {
                        guard let response = try? await transport.send(HTTPRequest(url: url)) else { return false }
                        return response.status == 200 && response.body == pattern(5000)
                    }
                }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(good == 100)
            #expect(server.statistics.mostRunning <= 6)
            #expect(server.statistics.mostRunning >= 3)
            #expect(server.statistics.connections <= 6)
        }
    }
}
