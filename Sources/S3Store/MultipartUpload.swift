import ObjectStore
import Parsing
import Primitives

/// One write in parts: begun, filled in parallel, put together; or taken back if anything fails.
struct MultipartUpload: Sendable {
    struct Done: Sendable {
        var number: Int
        var etag: ETag
        var crc32c: String?
    }

    private let store: S3Store
    private let plan: UploadPlan
    private let parts: PartPlan
    private let object: NewObject
    private let crc: Bool
    private let trustsETag: Bool

    /// - Parameter trustsETag: whether the answer's ETag is the object's; it is asked for otherwise.
    init(
        _ store: S3Store, _ plan: UploadPlan, _ parts: PartPlan, _ object: NewObject, crc: Bool, trustsETag: Bool = true
    ) {
        self.store = store
        self.plan = plan
        self.parts = parts
        self.object = object
        self.crc = crc
        self.trustsETag = trustsETag
    }

    /// - Parameters:
    ///   - headers: metadata and content type.
    ///   - conditions: for the request that puts the parts together.
    ///   - started: what was sent ahead: its identifier, and the parts that needn't be sent any more.
    func run(
        headers: S3Request.Headers, conditions: S3Request.Headers, started: (identifier: String, done: [Done])? = nil
    ) async throws(StoreError) -> ObjectInfo {
        let identifier = if let started { started.identifier } else { try await begin(headers) }
        do {
            let done = try await sendParts(identifier, started?.done ?? [])
            let etag = try await complete(identifier, done, conditions)
            return try await object.info(sizeBytes: plan.sizeBytes, etag: trustsETag ? etag : nil, store: store)
        } catch {
            await abort(identifier)
            throw error
        }
    }

    func begin(_ headers: S3Request.Headers) async throws(StoreError) -> String {
        var request = request("POST", [("uploads", "")])
        request.headers = headers
        if crc { request.headers.append(("x-amz-checksum-algorithm", "CRC32C")) }
        guard let identifier = try await store.client.document(request)["UploadId"]?.text, !identifier.isEmpty else {
            throw StoreError(.corrupt, object.operation, key: object.key, detail: "no UploadId")
        }
        return identifier
    }

    /// In a task of its own: the caller's may have been cancelled, and then every request fails.
    func abort(_ identifier: String) async {
        let request = request("DELETE", [("uploadId", ByteString(identifier))])
        await Task { await sendAbort(request) }.value
    }

    private func sendAbort(_ request: S3Request) async {
        do { _ = try await store.client.send(request) } catch {
            // Nobody waits for it; `removeLeftovers` finds it later.
            if error.kind != .notFound { store.log.warning("s3", "a multipart upload can't be aborted: \(error)") }
        }
    }

    // MARK: Parts

    private func sendParts(_ identifier: String, _ ahead: [Done]) async throws(StoreError) -> [Done] {
        let limit = max(1, store.settings.concurrentParts)
        let isDone = Set(ahead.map(\.number))
        let numbers = parts.parts.indices.map { $0 + 1 }.filter { !isDone.contains($0) }
        let result = await withTaskGroup(of: Result<Done, StoreError>.self) { group -> Result<[Done], StoreError> in
            var done = ahead
            var begun = 0
            var ended = 0
            while begun < numbers.count || ended < begun {
                if begun < numbers.count, begun - ended < limit {
                    let number = numbers[begun]
                    group.addTask {
                        await self.persistently { () async throws(StoreError) in
                            try await self.send(number, identifier)
                        }
                    }
                    begun += 1
                    continue
                }
                guard let result = await group.next() else { break }
                ended += 1
                switch result {
                case .success(let part): done.append(part)
                case .failure(let error):
                    group.cancelAll()
                    return .failure(error)
                }
            }
            return .success(done.sorted { $0.number < $1.number })
        }
        return try result.get()
    }

    func persistently(_ send: () async throws(StoreError) -> Done) async -> Result<Done, StoreError> {
        var attempt = 1
        while true {
            do { return .success(try await send()) } catch {
                guard error.isTransient, attempt < store.partRetries.attempts else { return .failure(error) }
                var generator = SystemRandomNumberGenerator()
                let delay = store.partRetries.delayMilliseconds(attempt: attempt, using: &generator)
                await store.time.sleep(milliseconds: max(delay, error.retryAfterMilliseconds ?? 0))
                attempt += 1
            }
        }
    }

    private func send(_ number: Int, _ identifier: String) async throws(StoreError) -> Done {
        switch parts.parts[number - 1] {
        case .copy(let range): return try await copy(range, number, identifier)
        case .send(let range):
            let isBuffered = plan.segments.contains {
                if case .unchanged(let unchanged) = $0 { unchanged.overlaps(range) } else { false }
            }
            if !isBuffered { return try await send(PartBody(plan.source, range), number, identifier) }
            return try await store.bufferedParts.run { () async throws(StoreError) -> Done in
                try await send(try await store.bytes(plan, range), number, identifier)
            }
        }
    }

    func send(_ body: PartBody, _ number: Int, _ identifier: String) async throws(StoreError) -> Done {
        let digests = try await body.digests(crc: crc, sha256: !store.client.address.isTLS)
        var request = partRequest(number, identifier)
        request.headers = digests.headers
        request.body = .part(body, sha256: digests.sha256)
        guard let etag = ETag(s3: try await store.client.send(request).header("etag")) else {
            throw StoreError(.corrupt, object.operation, key: object.key, detail: "a part without an ETag")
        }
        return Done(number: number, etag: etag, crc32c: digests.crc32c)
    }

    private func copy(_ range: ByteRange, _ number: Int, _ identifier: String) async throws(StoreError) -> Done {
        guard let base = plan.base else {
            throw StoreError(.refused, object.operation, key: object.key, detail: "unchanged bytes without a base")
        }
        var request = partRequest(number, identifier)
        request.headers = [
            ("x-amz-copy-source", store.client.address.copySource(base.key)),
            ("x-amz-copy-source-if-match", base.etag.value),
            ("x-amz-copy-source-range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)"),
        ]
        request.isSlow = true
        let result: XMLElement
        do { result = try await store.client.document(request) } catch {
            throw error.kind == .notFound ? error.with(.conditionFailed) : error
        }
        guard let etag = ETag(s3: result["ETag"]?.text) else {
            throw StoreError(.corrupt, object.operation, key: object.key, detail: "a copied part without an ETag")
        }
        return Done(number: number, etag: etag, crc32c: result["ChecksumCRC32C"]?.text)
    }

    // MARK: Putting together

    private func complete(
        _ identifier: String, _ done: [Done], _ conditions: S3Request.Headers
    ) async throws(StoreError) -> ETag? {
        let list = done.map { part -> String in
            let checksum = part.crc32c.map { "<ChecksumCRC32C>\(XMLText.escaped($0))</ChecksumCRC32C>" } ?? ""
            let etag = XMLText.escaped(part.etag.value)
            return "<Part><PartNumber>\(part.number)</PartNumber><ETag>\(etag)</ETag>\(crc ? checksum : "")</Part>"
        }
        let body = "<CompleteMultipartUpload xmlns=\"\(XMLText.namespace)\">\(list.joined())</CompleteMultipartUpload>"
        var request = request("POST", [("uploadId", ByteString(identifier))])
        request.headers = conditions + [("content-type", "application/xml")]
        request.body = .bytes(Array(body.utf8))
        request.isSlow = true
        do {
            return ETag(s3: try await store.client.document(request)["ETag"]?.text)
        } catch {
            // With a condition on a version, AWS says 404 when there is none.
            throw error.kind == .notFound ? error.with(.conditionFailed) : error
        }
    }

    private func request(_ method: String, _ query: [(name: String, value: ByteString)]) -> S3Request {
        var request = S3Request(object.operation, method, object.key)
        request.query = query
        return request
    }

    private func partRequest(_ number: Int, _ identifier: String) -> S3Request {
        request("PUT", [("partNumber", ByteString(String(number))), ("uploadId", ByteString(identifier))])
    }
}
