import CCurl
import Glibc
import Primitives

/// A thread that moves the bytes of many transfers with one of curl's multi handles.
final class TransferLoop: @unchecked Sendable {
    /// Longest sleep without a reason to wake, in milliseconds.
    private static let idleMilliseconds: Int32 = 60_000

    private struct Inbox {
        var arrived: [Transfer] = []
        var cancelled: [Transfer] = []
        /// Transfers submitted and not finished.
        var load = 0
        var isPolling = false
        var isStopped = false
    }

    private let settings: HTTPSettings
    private let trust: TrustAnchors
    private let limit: Int
    private let multi: UnsafeMutableRawPointer
    private let inbox = Lock(Inbox())

    // The thread's own:
    private var waiting: [Transfer] = []
    private var active: [ObjectIdentifier: Transfer] = [:]
    private var idle: [EasyHandle] = []

    /// - Parameters:
    ///   - limit: most transfers at a time; the others wait in order.
    ///   - connections: most connections to a host.
    init(_ settings: HTTPSettings, _ trust: TrustAnchors, limit: Int, connections: Int) {
        guard let multi = curl_multi_init() else { fatalError("out of memory: no curl handle") }
        self.settings = settings
        self.trust = trust
        self.limit = limit
        self.multi = multi
        _ = pail_curl_multi_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, connections)
        _ = pail_curl_multi_long(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, max(limit, connections))
        _ = pail_curl_multi_long(multi, CURLMOPT_MAXCONNECTS, max(limit, connections))
    }

    deinit { curl_multi_cleanup(multi) }

    // MARK: From any thread

    var load: Int { inbox.withLock { $0.load } }

    func submit(_ transfer: Transfer) {
        let (refused, wake) = inbox.withLock { inbox -> (Bool, Bool) in
            if inbox.isStopped || transfer.isCancelled { return (true, false) }
            transfer.isSubmitted = true
            inbox.arrived.append(transfer)
            inbox.load += 1
            defer { inbox.isPolling = false }
            return (false, inbox.isPolling)
        }
        if refused { transfer.finish(.failure(.cancelled)) }
        if wake { curl_multi_wakeup(multi) }
    }

    func cancel(_ transfer: Transfer) {
        let wake = inbox.withLock { inbox -> Bool in
            transfer.isCancelled = true
            guard transfer.isSubmitted, !inbox.isStopped else { return false }
            inbox.cancelled.append(transfer)
            defer { inbox.isPolling = false }
            return inbox.isPolling
        }
        if wake { curl_multi_wakeup(multi) }
    }

    /// Cancels all and ends the thread.
    func stop() {
        inbox.withLock { $0.isStopped = true }
        curl_multi_wakeup(multi)
    }

    // MARK: On the thread

    func run() {
        while takeMessages() {
            admit()
            var running: Int32 = 0
            curl_multi_perform(multi, &running)
            collect()
            if waiting.isEmpty || active.count >= limit { poll() }
        }
        for transfer in waiting + Array(active.values) { abort(transfer) }
        waiting = []
        idle = []
    }

    /// False when the loop is to end.
    private func takeMessages() -> Bool {
        let (arrived, cancelled, isStopped) = inbox.withLock { inbox -> ([Transfer], [Transfer], Bool) in
            defer {
                inbox.arrived = []
                inbox.cancelled = []
            }
            return (inbox.arrived, inbox.cancelled, inbox.isStopped)
        }
        waiting.append(contentsOf: arrived)
        for transfer in cancelled where !transfer.isFinished { abort(transfer) }
        return !isStopped
    }

    private func admit() {
        let count = min(limit - active.count, waiting.count)
        guard count > 0 else { return }
        for transfer in waiting.prefix(count) where !transfer.isFinished { begin(transfer) }
        waiting.removeFirst(count)
    }

    private func begin(_ transfer: Transfer) {
        guard let easy = idle.popLast() ?? EasyHandle() else {
            return finish(transfer, .failure(.connect("out of memory")))
        }
        easy.prepare(transfer, settings, trust)
        let code = curl_multi_add_handle(multi, easy.curl)
        guard code == CURLM_OK else {
            return finish(transfer, .failure(.connect(String(cString: curl_multi_strerror(code)))))
        }
        transfer.easy = easy
        active[ObjectIdentifier(transfer)] = transfer
    }

    /// Finishes what curl is done with.
    private func collect() {
        var remaining: Int32 = 0
        while let message = curl_multi_info_read(multi, &remaining) {
            guard message.pointee.msg == CURLMSG_DONE, let curl = message.pointee.easy_handle else { continue }
            var context: UnsafeMutableRawPointer?
            _ = pail_curl_get_pointer(curl, CURLINFO_PRIVATE, &context)
            // Removing the handle frees the message.
            let code = pail_curl_result(message)
            guard let context else { continue }
            let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
            guard let easy = transfer.easy else { continue }
            let result = transfer.result(code, easy)
            release(transfer)
            finish(transfer, result)
        }
    }

    private func abort(_ transfer: Transfer) {
        release(transfer)
        finish(transfer, .failure(.cancelled))
    }

    /// Takes the transfer's handle back from curl.
    private func release(_ transfer: Transfer) {
        guard let easy = transfer.easy else { return }
        curl_multi_remove_handle(multi, easy.curl)
        easy.reset()
        idle.append(easy)
        transfer.easy = nil
        active[ObjectIdentifier(transfer)] = nil
    }

    private func finish(_ transfer: Transfer, _ result: Result<HTTPResponse, HTTPError>) {
        guard !transfer.isFinished else { return }
        inbox.withLock { $0.load -= 1 }
        transfer.finish(result)
    }

    private func poll() {
        let hasMessages = inbox.withLock { inbox -> Bool in
            inbox.isPolling = inbox.arrived.isEmpty && inbox.cancelled.isEmpty && !inbox.isStopped
            return !inbox.isPolling
        }
        if hasMessages { return }
        curl_multi_poll(multi, nil, 0, Self.idleMilliseconds, nil)
        inbox.withLock { $0.isPolling = false }
    }
}
