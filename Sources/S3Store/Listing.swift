import ObjectStore
import Parsing
import Primitives

// ListObjectsV2
extension S3Store {
    public func list(
        prefix: ByteString, delimited: Bool, from: ListPosition?, limit: Int
    ) async throws(StoreError) -> ListPage {
        var request = S3Request("list", "GET", nil)
        request.query = [
            ("list-type", "2"), ("encoding-type", "url"), ("max-keys", ByteString(String(min(max(limit, 1), 1000)))),
        ]
        if !prefix.isEmpty { request.query.append(("prefix", prefix)) }
        if delimited { request.query.append(("delimiter", "/")) }
        switch from {
        case .page(let token)?: request.query.append(("continuation-token", ByteString(token)))
        case .after(let key)?: request.query.append(("start-after", key))
        case nil: break
        }
        return try ListingDocument(await client.document(request)).page()
    }
}

/// A `ListBucketResult`.
struct ListingDocument {
    private let root: XMLElement
    /// Not all servers do what `encoding-type=url` asks for; those that do say so.
    private let isEncoded: Bool

    init(_ root: XMLElement) {
        self.root = root
        isEncoded = root["EncodingType"]?.text.lowercased() == "url"
    }

    func page() throws(StoreError) -> ListPage {
        guard root.name == "ListBucketResult" else { throw corrupt("no listing but \(root.name)") }
        var page = ListPage()
        for element in root.all("Contents") { page.objects.append(try object(element)) }
        for element in root.all("CommonPrefixes") { page.prefixes.append(try key(element["Prefix"])) }
        if root["IsTruncated"]?.text == "true" {
            guard let token = root["NextContinuationToken"]?.text, !token.isEmpty else {
                throw corrupt("the listing goes on but doesn't say where")
            }
            page.next = token
        }
        return page
    }

    private func object(_ element: XMLElement) throws(StoreError) -> ObjectInfo {
        guard let size = element["Size"].flatMap({ Int64($0.text) }), size >= 0 else { throw corrupt("no size") }
        return ObjectInfo(
            key: try key(element["Key"]), sizeBytes: size, etag: ETag(s3: element["ETag"]?.text),
            lastModified: element["LastModified"].flatMap { ISODate.parse($0.text) } ?? .zero)
    }

    private func key(_ element: XMLElement?) throws(StoreError) -> ByteString {
        guard let text = element?.text else { throw corrupt("no key") }
        if !isEncoded { return ByteString(text) }
        guard let bytes = PercentEncoding.decode(text, plusIsSpace: true) else {
            throw corrupt("a key can't be decoded")
        }
        return ByteString(bytes: bytes)
    }

    private func corrupt(_ detail: String) -> StoreError { StoreError(.corrupt, "list", detail: detail) }
}

extension ETag {
    /// With quotes in any case: some servers leave them out here and there, and two tags of a version must be equal.
    init?(s3 text: String?) {
        guard let text, !text.isEmpty, text != "\"\"" else { return nil }
        self.init(text.hasPrefix("\"") || text.hasPrefix("W/") ? text : "\"\(text)\"")
    }
}
