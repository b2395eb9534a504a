import ObjectStore
import Primitives

// CopyObject, and copies in parts where that is too little
extension S3Store {
    public func copy(
        _ source: ByteString, etag: ETag?, to destination: ByteString, metadata: Metadata?, contentType: String?,
        condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        try checkNew(destination, "copy")
        // Its size says which way to go, and its content type has to be given again with new metadata.
        let old = try await head(source, "copy", ifMatch: etag)
        guard let version = etag ?? old.etag else {
            throw StoreError(.unsupported, "copy", key: source, detail: "the server gives no ETag")
        }
        let object = NewObject(
            key: destination, metadata: metadata ?? old.metadata ?? [:], contentType: contentType ?? old.contentType,
            operation: "copy")
        let abilities = try await s3Capabilities()
        let isSingle = old.sizeBytes <= settings.singleCopyBytes
        let able =
            isSingle
            ? (abilities.contains(.copiesIfAbsent), abilities.contains(.copiesIfMatch))
            : (abilities.contains(.completesIfAbsent), abilities.contains(.completesIfMatch))
        let conditions = try await enforce(condition, on: destination, "copy", able)
        do {
            if isSingle {
                let keepsAll = metadata == nil && contentType == nil
                return try await copyWhole(old, version, object, keepsAll: keepsAll, conditions)
            }
            let plan = UploadPlan(
                segments: [.unchanged(0..<old.sizeBytes)], base: .init(key: source, etag: version),
                source: MemorySource([]))
            let parts = PartPlan(
                plan.segments, canCopy: abilities.contains(.copiesRanges), partBytes: settings.partBytes,
                copyPartBytes: settings.copyPartBytes)
            let upload = MultipartUpload(
                self, plan, parts, object, crc: abilities.contains(.verifiesChecksums),
                trustsETag: abilities.contains(.completesWithETag))
            return try await upload.run(headers: try object.headers(), conditions: conditions)
        } catch {
            // With a condition on a version, AWS says 404 when there is none.
            if error.kind == .notFound, case .matches = condition { throw error.with(.conditionFailed) }
            // Nobody asked for a version, but the source has changed since we looked at it.
            throw error.kind == .conditionFailed && etag == nil && condition == .none ? error.with(.unavailable) : error
        }
    }

    private func copyWhole(
        _ old: ObjectInfo, _ version: ETag, _ object: NewObject, keepsAll: Bool, _ conditions: S3Request.Headers
    ) async throws(StoreError) -> ObjectInfo {
        var request = S3Request("copy", "PUT", object.key)
        request.headers =
            conditions + [
                ("x-amz-copy-source", client.address.copySource(old.key)),
                ("x-amz-copy-source-if-match", version.value),
                ("x-amz-metadata-directive", keepsAll ? "COPY" : "REPLACE"),
            ]
        if !keepsAll { request.headers += try object.headers() }
        request.isSlow = true
        let result = try await client.document(request)
        return try await object.info(sizeBytes: old.sizeBytes, etag: ETag(s3: result["ETag"]?.text), store: self)
    }
}
