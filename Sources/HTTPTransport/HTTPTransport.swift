import CCurl
import Glibc
import Primitives
import Telemetry

/// HTTP over libcurl's multi interface, on threads of its own; thread-safe. Connections are kept and reused; HTTP/2 is
/// spoken where TLS offers it. Redirects are not followed (callers sign their requests) and nothing is tried again, but
/// for a request that a kept-alive connection swallowed (see `HTTPResponse.wasRepeated`).
public final class HTTPTransport: HTTPSending {
    private static let curlIsReady = pail_curl_global_init() == CURLE_OK

    private let settings: HTTPSettings
    private let log: Log
    private let loops: [TransferLoop]
    private let threads: Lock<[pthread_t]>

    public init(_ settings: HTTPSettings = HTTPSettings(), log: Log = .silent) {
        precondition(Self.curlIsReady, "libcurl can't be initialised")
        self.settings = settings
        self.log = log
        let trust = TrustAnchors(settings)
        let count = max(1, min(settings.loops, settings.concurrentRequests))
        /// The share of the loop `index` in `total`, rounded so that the shares add up (but none is below 1).
        func share(_ total: Int, _ index: Int) -> Int { max(1, (total + count - 1 - index) / count) }
        loops = (0..<count).map { index in
            TransferLoop(
                settings, trust, limit: share(settings.concurrentRequests, index),
                connections: share(settings.connectionsPerHost, index))
        }
        threads = Lock(loops.map(Self.startThread))
    }

    deinit { shutdown() }

    public func send(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse {
        if let objection = URLParts.objection(to: request) { throw .invalidRequest(objection) }
        let transfer = Transfer(request, settings)
        // The first of the least busy, so that requests made one after the other share a connection.
        let loop = loops.min { $0.load < $1.load } ?? loops[0]
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                transfer.attach(continuation)
                loop.submit(transfer)
            }
        } onCancel: {
            loop.cancel(transfer)
        }
        switch result {
        case .success(let response):
            log.debug("http", "\(request.method) \(URLParts.printable(request.url)): \(response.status)")
        case .failure(let error):
            log.debug("http", "\(request.method) \(URLParts.printable(request.url)): \(error)")
        }
        return try result.get()
    }

    /// Ends all requests with `.cancelled`, closes the connections, and returns when the threads have ended. Later
    /// requests end with `.cancelled` too.
    public func shutdown() {
        let threads = self.threads.withLock { threads -> [pthread_t] in
            defer { threads = [] }
            return threads
        }
        guard !threads.isEmpty else { return }
        for loop in loops { loop.stop() }
        for thread in threads {
            // A request's body source may have held the last reference to this transport.
            if pthread_equal(thread, pthread_self()) != 0 { pthread_detach(thread) } else { pthread_join(thread, nil) }
        }
    }

    private static func startThread(_ loop: TransferLoop) -> pthread_t {
        // A thread inherits the mask: signals are for others, and OpenSSL's writes must not raise SIGPIPE.
        var all = sigset_t()
        var former = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, &former)
        defer { pthread_sigmask(SIG_SETMASK, &former, nil) }
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<TransferLoop>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(loop).toOpaque())
        guard code == 0 else { fatalError("no thread: \(Errno(code))") }
        return thread
    }
}
