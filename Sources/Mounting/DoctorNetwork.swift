import Configuration
import Credentials
import Glibc
import HTTPTransport
import Parsing
import Primitives
import Telemetry

/// What a mount needs between the machine and the service, and to prove who it is.
extension Doctor {
    private static let resolveMilliseconds: Int64 = 10_000
    /// S3 refuses requests that are 15 minutes off.
    private static let fatalSkewMilliseconds: Int64 = 15 * 60_000
    private static let notableSkewMilliseconds: Int64 = 60_000

    func network() async -> [Finding] {
        guard let endpoint = Backend.endpoint(configuration) else { return [] }
        var findings: [Finding] = []
        if configuration.proxy == nil, let name = await resolve(endpoint) { findings.append(name) }
        if findings.last?.grade != .fail { findings += await connect(endpoint) }
        return findings + [credentials()]
    }

    private func resolve(_ endpoint: String) async -> Finding? {
        let host = Self.host(of: endpoint)
        let outcome = await Threads.value(withinMilliseconds: Self.resolveMilliseconds) { () -> Int32 in
            var list: UnsafeMutablePointer<addrinfo>?
            let code = getaddrinfo(host, nil, nil, &list)
            if let list { freeaddrinfo(list) }
            return code
        }
        guard let outcome else {
            return Finding(.fail, "name", "\(host): no answer from the name server", remedy: "check /etc/resolv.conf")
        }
        if outcome == 0 { return Finding(.ok, "name", "\(host) is known") }
        // Behind a proxy the name need not be known here.
        if ["https_proxy", "http_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"].contains(where: {
            ProcessEnvironment.value($0) != nil
        }) {
            return nil
        }
        return Finding(
            .fail, "name", "\(host): \(String(cString: gai_strerror(outcome)))",
            remedy: "check the endpoint and /etc/resolv.conf")
    }

    /// The host name in `https://host:port/path`; of `[::1]`, too.
    static func host(of endpoint: String) -> String {
        let rest = endpoint.firstRange(of: "://").map { endpoint[$0.upperBound...] } ?? endpoint[...]
        let authority = rest.prefix { $0 != "/" }
        if authority.hasPrefix("[") { return String(authority.dropFirst().prefix { $0 != "]" }) }
        return String(authority.prefix { $0 != ":" })
    }

    private func connect(_ endpoint: String) async -> [Finding] {
        let transport = HTTPTransport(Backend.transportSettings(configuration), log: .silent)
        defer { transport.shutdown() }
        let time = SystemTime()
        let begin = time.monotonic()
        var request = HTTPRequest(method: "GET", url: endpoint + "/")
        request.timeouts.totalMilliseconds = configuration.requestTimeoutMilliseconds
        let response: HTTPResponse
        do throws(HTTPError) {
            response = try await transport.send(request)
        } catch {
            return [Finding(.fail, "connection", "\(endpoint): \(error)", remedy: Self.remedy(error))]
        }
        let took = time.monotonic().milliseconds(since: begin)
        let kind = endpoint.hasPrefix("https") ? " over TLS" : ""
        var findings = [Finding(.ok, "connection", "\(endpoint) answers\(kind) in \(took) ms")]
        if !endpoint.hasPrefix("https"), !["localhost", "127.0.0.1", "::1"].contains(Self.host(of: endpoint)) {
            findings.append(
                Finding(
                    .warn, "connection", "without TLS, others on the way can read and alter everything",
                    remedy: "use an https:// endpoint"))
        }
        if let clock = clock(response, now: time.now()) { findings.append(clock) }
        return findings
    }

    private static func remedy(_ error: HTTPError) -> String {
        switch error {
        case .resolve: "check the endpoint and /etc/resolv.conf"
        case .tls: "give the certificates to trust with --tls-ca-file"
        case .connect, .timedOut: "check the endpoint's port, the firewall, and --proxy"
        default: "check the endpoint"
        }
    }

    private func clock(_ response: HTTPResponse, now: Timestamp) -> Finding? {
        guard let date = response.header("date").flatMap(HTTPDate.parse) else { return nil }
        // The header has whole seconds only.
        let skew = now.milliseconds(since: date)
        let remedy = "set the clock, and keep it right with NTP"
        let shown = "\(abs(skew) / 1000) s \(skew < 0 ? "behind" : "ahead of") the service's"
        if abs(skew) >= Self.fatalSkewMilliseconds { return Finding(.fail, "clock", "is \(shown)", remedy: remedy) }
        if abs(skew) >= Self.notableSkewMilliseconds { return Finding(.warn, "clock", "is \(shown)", remedy: remedy) }
        return Finding(.ok, "clock", "agrees with the service's")
    }

    private func credentials() -> Finding {
        if configuration.anonymous { return Finding(.ok, "credentials", "none: requests are not signed") }
        let places = Backend.credentialPlaces(configuration)
        for place in places {
            do throws(CredentialError) {
                if let key = try place.find() {
                    return Finding(.ok, "credentials", "access key \(key.id) from \(place)")
                }
            } catch {
                return Finding(.fail, "credentials", error.description)
            }
        }
        let looked = places.map { "\($0)" }.joined(separator: "; ")
        return Finding(
            .fail, "credentials", "none found in: \(looked)",
            remedy: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use --password-file or --anonymous")
    }
}
