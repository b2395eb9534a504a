import ObjectStore
import Parsing
import Primitives

// ListMultipartUploads, AbortMultipartUpload
extension S3Store {
    /// The most pages of unfinished uploads looked at in one call.
    private static let maximumPages = 100

    public func removeLeftovers(olderThanMilliseconds ageMilliseconds: Int64) async throws(StoreError) -> Int {
        let oldest = time.now().adding(milliseconds: -ageMilliseconds)
        return try await abortUploads(before: oldest) + removeProbes(before: oldest)
    }

    private func abortUploads(before oldest: Timestamp) async throws(StoreError) -> Int {
        var removed = 0
        var marker: (key: ByteString, upload: ByteString)?
        for _ in 0..<Self.maximumPages {
            var request = S3Request("list uploads", "GET", nil)
            request.query = [("uploads", ""), ("max-uploads", "1000"), ("encoding-type", "url")]
            if let marker { request.query += [("key-marker", marker.key), ("upload-id-marker", marker.upload)] }
            let page: XMLElement
            do { page = try await client.document(request) } catch {
                if error.kind == .unsupported { return removed }
                throw error
            }
            let isEncoded = page["EncodingType"]?.text == "url"
            func key(_ element: XMLElement?) -> ByteString? {
                guard let text = element?.text, isEncoded else { return (element?.text).map { ByteString($0) } }
                return PercentEncoding.decode(text, plusIsSpace: true).map { ByteString(bytes: $0) }
            }
            for upload in page.all("Upload") {
                guard let key = key(upload["Key"]), let identifier = upload["UploadId"]?.text,
                    let begun = upload["Initiated"].flatMap({ ISODate.parse($0.text) }), begun <= oldest
                else { continue }
                if try await abort(key, identifier) {
                    removed += 1
                } else if !isEncoded, let bytes = PercentEncoding.decode(key.description, plusIsSpace: false),
                    ByteString(bytes: bytes) != key, try await abort(ByteString(bytes: bytes), identifier)
                {
                    // Ceph encodes keys here without saying so.
                    removed += 1
                }
            }
            guard page["IsTruncated"]?.text == "true", let next = key(page["NextKeyMarker"]) else { break }
            marker = (next, ByteString(page["NextUploadIdMarker"]?.text ?? ""))
        }
        return removed
    }

    private func abort(_ key: ByteString, _ identifier: String) async throws(StoreError) -> Bool {
        var request = S3Request("abort upload", "DELETE", key)
        request.query = [("uploadId", ByteString(identifier))]
        do { _ = try await client.send(request) } catch {
            // Gone by itself in the meantime.
            if error.kind == .notFound || error.kind == .unavailable { return false }
            throw error
        }
        return true
    }

    /// What a probe that was killed has left.
    private func removeProbes(before oldest: Timestamp) async throws(StoreError) -> Int {
        let page = try await list(prefix: CapabilityProbe.prefix, delimited: false, from: nil, limit: 1000)
        let old = page.objects.filter { $0.lastModified <= oldest }.map(\.key)
        return old.isEmpty ? 0 : try await delete(old).count { $0 == nil }
    }
}
