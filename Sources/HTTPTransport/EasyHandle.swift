import CCurl
import Glibc

/// One of curl's easy handles, used for one transfer after the other. Belongs to one loop's thread.
final class EasyHandle {
    /// Bodies up to this get by with curl's smallest buffers.
    static let smallBodyBytes = 64 << 10

    let curl: UnsafeMutableRawPointer
    private let errorText: UnsafeMutablePointer<CChar>
    private var headerList: UnsafeMutablePointer<curl_slist>?

    /// nil when memory is short.
    init?() {
        guard let curl = curl_easy_init() else { return nil }
        self.curl = curl
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
        curl_easy_cleanup(curl)
        curl_slist_free_all(headerList)
        errorText.deallocate()
    }

    /// Describes the transfer to curl.
    func prepare(_ transfer: Transfer, _ settings: HTTPSettings, _ trust: TrustAnchors) {
        errorText[0] = 0
        set(CURLOPT_ERRORBUFFER, pointer: errorText)
        set(CURLOPT_PRIVATE, pointer: Unmanaged.passUnretained(transfer).toOpaque())
        setConnection(settings, trust)
        setTimeouts(transfer.request.timeouts)
        setCallbacks(transfer)
        setRequest(transfer.request, settings)
    }

    /// Ready for the next transfer, with no trace of this one; connections stay with the loop.
    func reset() {
        // Gives the send buffer back, which the handle would keep otherwise.
        set(CURLOPT_UPLOAD_BUFFERSIZE, Self.smallBodyBytes)
        curl_easy_reset(curl)
        curl_slist_free_all(headerList)
        headerList = nil
    }

    var status: Int {
        var status = 0
        _ = pail_curl_get_long(curl, CURLINFO_RESPONSE_CODE, &status)
        return status
    }

    /// What went wrong, in curl's words; without them if they quote what may be a credential from the URL.
    func message(_ code: CURLcode, hiding url: String) -> String {
        let general = String(cString: curl_easy_strerror(code))
        guard errorText[0] != 0 else { return general }
        let text = String(cString: errorText)
        return URLParts.secrets(of: url).contains { text.contains($0) } ? general : text
    }

    private func setConnection(_ settings: HTTPSettings, _ trust: TrustAnchors) {
        set(CURLOPT_NOSIGNAL, 1)
        // Cancelling must not wait for a name server.
        set(CURLOPT_QUICK_EXIT, 1)
        set(CURLOPT_PROTOCOLS_STR, "http,https")
        set(CURLOPT_FOLLOWLOCATION, 0)
        set(CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS)
        set(CURLOPT_PIPEWAIT, 0)
        set(CURLOPT_TCP_NODELAY, 1)
        set(CURLOPT_TCP_KEEPALIVE, 1)
        set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        if let proxy = settings.proxy { set(CURLOPT_PROXY, proxy) }
        if let file = trust.file { set(CURLOPT_CAINFO, file) }
        if let path = trust.path { set(CURLOPT_CAPATH, path) }
        if trust.fileAlone { _ = pail_curl_string(curl, CURLOPT_CAPATH, nil) }
        if !settings.verifyTLS {
            set(CURLOPT_SSL_VERIFYPEER, 0)
            set(CURLOPT_SSL_VERIFYHOST, 0)
        }
    }

    private func setTimeouts(_ timeouts: HTTPTimeouts) {
        set(CURLOPT_CONNECTTIMEOUT_MS, Int(timeouts.connectMilliseconds))
        if timeouts.stallMilliseconds > 0 {
            set(CURLOPT_LOW_SPEED_LIMIT, 1)
            set(CURLOPT_LOW_SPEED_TIME, Int((timeouts.stallMilliseconds + 999) / 1000))
        }
        if let total = timeouts.totalMilliseconds { set(CURLOPT_TIMEOUT_MS, Int(max(1, total))) }
    }

    private func setCallbacks(_ transfer: Transfer) {
        let context = Unmanaged.passUnretained(transfer).toOpaque()
        set(CURLOPT_HEADERDATA, pointer: context)
        _ = pail_curl_data(curl, CURLOPT_HEADERFUNCTION, receiveHeader)
        set(CURLOPT_WRITEDATA, pointer: context)
        _ = pail_curl_data(curl, CURLOPT_WRITEFUNCTION, receiveBody)
        set(CURLOPT_PREREQDATA, pointer: context)
        _ = pail_curl_before_request(curl, beforeRequest)
        set(CURLOPT_READDATA, pointer: context)
        _ = pail_curl_data(curl, CURLOPT_READFUNCTION, sendBody)
        set(CURLOPT_SEEKDATA, pointer: context)
        _ = pail_curl_seek(curl, rewindBody)
    }

    private func setRequest(_ request: HTTPRequest, _ settings: HTTPSettings) {
        set(CURLOPT_URL, request.url)
        // Keys may hold `..` between slashes.
        set(CURLOPT_PATH_AS_IS, 1)
        set(CURLOPT_USERAGENT, settings.userAgent)
        let length = request.body.lengthBytes
        switch (request.method, length) {
        case ("GET", 0): set(CURLOPT_HTTPGET, 1)
        case ("HEAD", _): set(CURLOPT_NOBODY, 1)
        case ("PUT", _), ("POST", _), (_, 1...):
            set(CURLOPT_UPLOAD, 1)
            set(CURLOPT_CUSTOMREQUEST, request.method)
            _ = pail_curl_offset(curl, CURLOPT_INFILESIZE_LARGE, curl_off_t(length))
        default: set(CURLOPT_CUSTOMREQUEST, request.method)
        }
        let expected = request.expectedBodyBytes ?? Self.smallBodyBytes
        set(CURLOPT_BUFFERSIZE, max(Self.smallBodyBytes, min(expected, settings.bufferBytes)))
        if length > Self.smallBodyBytes { set(CURLOPT_UPLOAD_BUFFERSIZE, settings.bufferBytes) }

        // curl would wait for a "100 Continue" before larger bodies.
        headerList = curl_slist_append(headerList, "Expect:")
        for (name, value) in request.headers where name.lowercased() != "content-length" {
            // "Name:" would mean to leave the header out.
            headerList = curl_slist_append(headerList, value.isEmpty ? "\(name);" : "\(name): \(value)")
        }
        set(CURLOPT_HTTPHEADER, pointer: headerList)
    }

    private func set(_ option: CURLoption, _ value: Int) { _ = pail_curl_long(curl, option, value) }
    private func set(_ option: CURLoption, _ value: String) { _ = pail_curl_string(curl, option, value) }
    private func set(_ option: CURLoption, pointer: UnsafeMutableRawPointer?) {
        _ = pail_curl_pointer(curl, option, pointer)
    }
}

private func transfer(_ context: UnsafeMutableRawPointer?) -> Transfer {
    guard let context else { preconditionFailure("curl calls back with what it was given") }
    return Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
}

// A count other than that of the bytes given ends the transfer (CURLOPT_WRITEFUNCTION(3)).

private func receiveHeader(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    let line = UnsafeRawBufferPointer(start: bytes, count: size * count)
    return transfer(context).receiveHeader(line) ? line.count : 0
}

private func receiveBody(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    let chunk = UnsafeRawBufferPointer(start: bytes, count: size * count)
    return transfer(context).receive(chunk) ? chunk.count : 0
}

private func sendBody(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    let buffer = UnsafeMutableRawBufferPointer(start: bytes, count: size * count)
    return transfer(context).send(into: buffer) ?? Int(CURL_READFUNC_ABORT)
}

private func rewindBody(_ context: UnsafeMutableRawPointer?, _ offset: curl_off_t, _ origin: Int32) -> Int32 {
    origin == SEEK_SET && transfer(context).rewind(to: Int64(offset)) ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL
}

private func beforeRequest(
    _ context: UnsafeMutableRawPointer?, _ remote: UnsafeMutablePointer<CChar>?, _ local: UnsafeMutablePointer<CChar>?,
    _ remotePort: Int32, _ localPort: Int32
) -> Int32 {
    transfer(context).willSend()
    return CURL_PREREQFUNC_OK
}
