import ObjectStore
import Primitives

// PutObject, and which way a plan is carried out
extension S3Store {
    public func write(
        _ plan: UploadPlan, to key: ByteString, metadata: Metadata, contentType: String?, condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        try checkNew(key, "write")
        let abilities = try await s3Capabilities()
        guard plan.sizeBytes <= abilities.store.maximumObjectBytes else {
            throw StoreError(.refused, "write", key: key, detail: "\(plan.sizeBytes) bytes are too many for an object")
        }
        let object = NewObject(key: key, metadata: metadata, contentType: contentType, operation: "write")
        let headers = try object.headers()
        if let started = plan.started, let write = started.write as? S3StartedWrite {
            let conditions: S3Request.Headers
            do {
                conditions = try await enforce(condition, on: key, "write", WriteRequest.complete.conditions(abilities))
            } catch {
                await write.abandon()
                throw error
            }
            return try await write.finish(
                plan, object, started.parts, conditions, trustsETag: abilities.contains(.completesWithETag))
        }
        let parts = PartPlan(
            plan.segments, canCopy: abilities.contains(.copiesRanges), partBytes: settings.partBytes,
            copyPartBytes: settings.copyPartBytes)
        let way: WriteRequest = parts.isSingleRequest ? .put : .complete
        let conditions = try await enforce(condition, on: key, "write", way.conditions(abilities))
        if parts.isSingleRequest {
            return try await put(
                bytes(plan, 0..<plan.sizeBytes), object, headers: headers + conditions,
                crc: abilities.contains(.verifiesChecksums))
        }
        let upload = MultipartUpload(
            self, plan, parts, object, crc: abilities.contains(.verifiesChecksums),
            trustsETag: abilities.contains(.completesWithETag))
        return try await upload.run(headers: headers, conditions: conditions)
    }

    /// The condition's headers, if the server enforces them; otherwise the condition is checked now.
    func enforce(
        _ condition: Condition, on key: ByteString, _ operation: String, _ able: (absent: Bool, match: Bool)
    ) async throws(StoreError) -> S3Request.Headers {
        switch condition {
        case .none: return []
        case .absent where able.absent: return [("if-none-match", "*")]
        case .matches(let etag) where able.match: return [("if-match", etag.value)]
        case .absent, .matches:
            guard let present = try await present(key, operation) else {
                if condition == .absent { return [] }
                throw StoreError(.conditionFailed, operation, key: key, detail: "it is gone")
            }
            try Self.check(condition, present, operation)
            return []
        }
    }

    func put(
        _ body: PartBody, _ object: NewObject, headers: S3Request.Headers, crc: Bool
    ) async throws(StoreError) -> ObjectInfo {
        var request = S3Request(object.operation, "PUT", object.key)
        let digests = try await body.digests(crc: crc, sha256: !client.address.isTLS)
        request.headers = headers + digests.headers
        request.body = .part(body, sha256: digests.sha256)
        let response: ETag?
        do { response = ETag(s3: try await client.send(request).header("etag")) } catch {
            // With a condition on a version, AWS says 404 when there is none.
            if error.kind == .notFound { throw error.with(.conditionFailed) }
            throw error
        }
        return try await object.info(sizeBytes: body.range.length, etag: response, store: self)
    }

    /// The plan's bytes in a range: straight from its source, or with what is unchanged fetched from the base first.
    func bytes(_ plan: UploadPlan, _ range: ByteRange) async throws(StoreError) -> PartBody {
        let pieces = plan.segments.compactMap { $0.clamped(to: range) }
        let isAllNew = pieces.allSatisfy { if case .new = $0 { true } else { false } }
        if isAllNew { return PartBody(plan.source, range) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(range.length))
        for piece in pieces {
            switch piece {
            case .new(let range): bytes += try Self.read(plan.source, range)
            case .unchanged(let range): try await appendBase(plan, range, to: &bytes)
            }
        }
        return PartBody(bytes: bytes)
    }

    private static func read(_ source: any ByteSource, _ range: ByteRange) throws(StoreError) -> [UInt8] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(range.length), alignment: 16)
        defer { buffer.deallocate() }
        try source.read(at: range.lowerBound, into: buffer)
        return Array(buffer)
    }

    private func appendBase(
        _ plan: UploadPlan, _ range: ByteRange, to bytes: inout [UInt8]
    ) async throws(StoreError) {
        guard let base = plan.base else {
            throw StoreError(.refused, "write", detail: "unchanged bytes without a base")
        }
        var offset = range.lowerBound
        while offset < range.upperBound {
            let piece = ByteRange(offset: offset, length: min(16 << 20, range.upperBound - offset))
            let got: [UInt8]
            do { got = try await read(base.key, range: piece, ifMatch: base.etag).bytes } catch {
                throw error.kind == .notFound ? error.with(.conditionFailed) : error
            }
            guard got.count == piece.length else {
                throw StoreError(.conditionFailed, "write", key: base.key, detail: "the old version is shorter")
            }
            bytes += got
            offset = piece.upperBound
        }
    }
}

/// What makes an object's new version visible.
private enum WriteRequest {
    case put, complete

    func conditions(_ abilities: S3Capabilities) -> (absent: Bool, match: Bool) {
        switch self {
        case .put: (abilities.contains(.putsIfAbsent), abilities.contains(.putsIfMatch))
        case .complete: (abilities.contains(.completesIfAbsent), abilities.contains(.completesIfMatch))
        }
    }
}

/// What is written beside the bytes.
struct NewObject: Sendable {
    /// Names and values together ("Working with object metadata", Amazon S3 User Guide).
    static let maximumMetadataBytes = 2048

    var key: ByteString
    var metadata: Metadata
    var contentType: String?
    /// For errors.
    var operation: String

    func headers() throws(StoreError) -> S3Request.Headers {
        var headers: S3Request.Headers = []
        if let contentType { headers.append(("content-type", contentType)) }
        for (name, value) in metadata {
            guard !name.isEmpty, (name + value).utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) else {
                throw StoreError(
                    .refused, operation, key: key, detail: "metadata \(name) has other than printable ASCII characters")
            }
            headers.append(("x-amz-meta-\(name.lowercased())", value))
        }
        let bytes = metadata.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
        if bytes > Self.maximumMetadataBytes {
            throw StoreError(.refused, operation, key: key, detail: "\(bytes) bytes of metadata are too many")
        }
        return headers
    }

    /// The description of the version just written; asks for the tag if the answer had none.
    func info(sizeBytes: Int64, etag: ETag?, store: S3Store) async throws(StoreError) -> ObjectInfo {
        guard let etag else {
            let head: ObjectInfo
            do { head = try await store.head(key, operation, ifMatch: nil) } catch {
                throw StoreError(.unavailable, operation, key: key, detail: "written, but \(error.detail)")
            }
            if head.sizeBytes == sizeBytes { return head }
            throw StoreError(.unavailable, operation, key: key, detail: "written, but another version is there")
        }
        return ObjectInfo(
            key: key, sizeBytes: sizeBytes, etag: etag, lastModified: .zero, metadata: metadata,
            contentType: contentType)
    }
}

extension PartBody.Digests {
    var headers: S3Request.Headers {
        if let crc32c { return [("x-amz-checksum-crc32c", crc32c)] }
        return md5.map { [("content-md5", $0)] } ?? []
    }
}

extension UploadPlan.Segment {
    /// The part of the segment within `range`; nil if there is none.
    func clamped(to range: ByteRange) -> Self? {
        guard self.range.overlaps(range) else { return nil }
        let part = self.range.clamped(to: range)
        switch self {
        case .new: return .new(part)
        case .unchanged: return .unchanged(part)
        }
    }
}

extension StoreError {
    func with(_ kind: Kind) -> StoreError {
        var error = self
        error.kind = kind
        return error
    }
}
