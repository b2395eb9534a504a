import ObjectStore
import Primitives

/// Finds out what a bucket's server does, by doing it to small objects under `.pail/probe-…`, which are removed again.
///
/// Questions that the credentials don't permit are answered with no.
struct CapabilityProbe: Sendable {
    static let prefix: ByteString = ".pail/probe-"
    private static let content = Array("what can this bucket do?".utf8)
    /// Tags that no object here has.
    private static let wrongTag = "\"00000000000000000000000000000000\""

    private typealias Abilities = Set<S3Capabilities.Ability>

    private let store: S3Store
    private let base: ByteString

    init(_ store: S3Store) {
        self.store = store
        let name = String(UInt64.random(in: .min ... .max), radix: 16)
        base = Self.prefix + ByteString("\(name)/")
    }

    func run() async -> Result<S3Capabilities, StoreError> {
        do {
            // May we write at all?
            _ = try await put("a", [])
        } catch {
            if error.isTransient || error.kind == .cancelled || error.kind == .unauthenticated
                || error.kind == .noBucket
            {
                return .failure(error)
            }
            store.log.info("s3", "\(store.name) can't be probed: \(error)")
            return .success(.cautious)
        }
        let found = await askAll()
        await cleanUp()
        if case .success(let capabilities) = found {
            let missing = S3Capabilities.Ability.allCases.filter { !capabilities.contains($0) }.map(\.rawValue)
            store.log.info(
                "s3", "\(store.name) lacks: \(missing.isEmpty ? "nothing" : missing.joined(separator: ", "))")
        }
        return found
    }

    private func askAll() async -> Result<S3Capabilities, StoreError> {
        await withTaskGroup(of: Result<Abilities, StoreError>.self) { group in
            group.addTask { await answer { () async throws(StoreError) in try await putsIfAbsent() } }
            group.addTask { await answer { () async throws(StoreError) in try await putsIfMatch() } }
            group.addTask { await answer { () async throws(StoreError) in try await verifiesChecksums() } }
            group.addTask { await answer { () async throws(StoreError) in try await copiesRanges() } }
            group.addTask { await answer { () async throws(StoreError) in try await completes() } }
            group.addTask { await answer { () async throws(StoreError) in try await completesWithETag() } }
            group.addTask { await answer { () async throws(StoreError) in try await copies() } }
            group.addTask { await answer { () async throws(StoreError) in try await deletesIfMatch() } }
            group.addTask { await answer { () async throws(StoreError) in try await keepsDirectoryMarkers() } }
            group.addTask { await answer { () async throws(StoreError) in try await acceptsDirectoryMarkers() } }
            var abilities: Abilities = []
            var failure: StoreError?
            for await result in group {
                switch result {
                case .success(let found): abilities.formUnion(found)
                case .failure(let error): failure = error
                }
            }
            return failure.map { .failure($0) } ?? .success(S3Capabilities(abilities))
        }
    }

    /// A question that fails for a lasting reason is answered with no.
    private func answer(
        _ ask: @Sendable () async throws(StoreError) -> Abilities
    ) async -> Result<Abilities, StoreError> {
        do { return .success(try await ask()) } catch {
            if error.isTransient || error.kind == .cancelled { return .failure(error) }
            store.log.debug("s3", "\(store.name): \(error)")
            return .success([])
        }
    }

    // MARK: Questions

    private func putsIfAbsent() async throws(StoreError) -> Abilities {
        _ = try await put("absent", [("if-none-match", "*")])
        return try await isRefused { () async throws(StoreError) in
            _ = try await put("absent", [("if-none-match", "*")])
        } ? [.putsIfAbsent] : []
    }

    private func putsIfMatch() async throws(StoreError) -> Abilities {
        let etag = try await put("match", [])
        let isEnforced = try await isRefused { () async throws(StoreError) in
            _ = try await put("match", [("if-match", Self.wrongTag)])
        }
        // Some refuse the right one as well.
        _ = try await put("match", [("if-match", etag.value)])
        return isEnforced ? [.putsIfMatch] : []
    }

    private func verifiesChecksums() async throws(StoreError) -> Abilities {
        do {
            _ = try await put("checksum", [("x-amz-checksum-crc32c", "AAAAAA==")], digests: false)
            return []
        } catch {
            return error.kind == .corrupt || error.kind == .refused ? [.verifiesChecksums] : []
        }
    }

    private func copiesRanges() async throws(StoreError) -> Abilities {
        let etag = try await put("source", [])
        let plan = UploadPlan(
            segments: [.unchanged(0..<4)], base: .init(key: base + "source", etag: etag), source: MemorySource([]))
        let parts = PartPlan(plan.segments, canCopy: true, partBytes: 5 << 20, copyPartBytes: 5 << 20)
        let upload = MultipartUpload(store, plan, parts, object("range"), crc: false)
        do { _ = try await upload.run(headers: [], conditions: []) } catch {
            // A server that doesn't know the header takes an empty part instead and answers nothing.
            if error.kind == .corrupt { return [] }
            throw error
        }
        let copied = try await store.read(base + "range", range: nil, ifMatch: nil).bytes
        return copied == Array(Self.content[..<4]) ? [.copiesRanges] : []
    }

    private func completes() async throws(StoreError) -> Abilities {
        _ = try await put("complete", [])
        var abilities: Abilities = []
        if try await isCompletionRefused([("if-none-match", "*")]) { abilities.insert(.completesIfAbsent) }
        if try await isCompletionRefused([("if-match", Self.wrongTag)]) { abilities.insert(.completesIfMatch) }
        let etag = try await store.head(base + "complete").etag
        let isRightRefused = try await isCompletionRefused([("if-match", etag?.value ?? "")])
        if isRightRefused { abilities.remove(.completesIfMatch) }
        return abilities
    }

    private func isCompletionRefused(_ conditions: S3Request.Headers) async throws(StoreError) -> Bool {
        let upload = upload("complete")
        return try await isRefused { () async throws(StoreError) in
            _ = try await upload.run(headers: [], conditions: conditions)
        }
    }

    private func completesWithETag() async throws(StoreError) -> Abilities {
        let etag = try await upload("tag").run(headers: [], conditions: []).etag
        return try await store.head(base + "tag").etag == etag ? [.completesWithETag] : []
    }

    private func upload(_ name: ByteString) -> MultipartUpload {
        let plan = UploadPlan(bytes: Self.content)
        let parts = PartPlan(plan.segments, canCopy: false, partBytes: 5 << 20, copyPartBytes: 5 << 20)
        return MultipartUpload(store, plan, parts, object(name), crc: false)
    }

    private func copies() async throws(StoreError) -> Abilities {
        _ = try await put("copy-from", [])
        _ = try await put("copy-to", [])
        var abilities: Abilities = []
        if try await isCopyRefused([("if-none-match", "*")]) { abilities.insert(.copiesIfAbsent) }
        if try await isCopyRefused([("if-match", Self.wrongTag)]) {
            let etag = try await store.head(base + "copy-to").etag
            if try await !isCopyRefused([("if-match", etag?.value ?? "")]) { abilities.insert(.copiesIfMatch) }
        }
        return abilities
    }

    private func isCopyRefused(_ conditions: S3Request.Headers) async throws(StoreError) -> Bool {
        var request = S3Request("probe", "PUT", base + "copy-to")
        request.headers =
            conditions + [
                ("x-amz-copy-source", store.client.address.copySource(base + "copy-from")),
                ("x-amz-metadata-directive", "COPY"),
            ]
        let ready = request
        return try await isRefused { () async throws(StoreError) in _ = try await store.client.document(ready) }
    }

    private func deletesIfMatch() async throws(StoreError) -> Abilities {
        let etag = try await put("delete", [])
        var request = S3Request("probe", "DELETE", base + "delete")
        request.headers = [("if-match", Self.wrongTag)]
        let wrong = request
        let isEnforced = try await isRefused { () async throws(StoreError) in _ = try await store.client.send(wrong) }
        guard isEnforced, try await store.present(base + "delete", "probe") != nil else { return [] }
        request.headers = [("if-match", etag.value)]
        _ = try await store.client.send(request)
        return try await store.present(base + "delete", "probe") == nil ? [.deletesIfMatch] : []
    }

    private func keepsDirectoryMarkers() async throws(StoreError) -> Abilities {
        do {
            _ = try await put("d", [])
            _ = try await put("d/", [("x-amz-meta-mode", "16877")], content: [])
            _ = try await put("d/x", [])
        } catch {
            // Servers over a file system find this an internal error.
            if error.kind == .unavailable { return [] }
            throw error
        }
        let file = try await store.read(base + "d", range: nil, ifMatch: nil)
        let marker = try await store.head(base + "d/")
        let child = try await store.head(base + "d/x")
        let isKept = file.bytes == Self.content && marker.sizeBytes == 0 && marker.metadata?["mode"] == "16877"
        return isKept && child.sizeBytes == Self.content.count ? [.keepsDirectoryMarkers] : []
    }

    private func acceptsDirectoryMarkers() async throws(StoreError) -> Abilities {
        do {
            _ = try await put("marker/", [], content: [])
        } catch {
            if error.kind == .unavailable { return [] }
            throw error
        }
        let page = try await store.list(prefix: base + "marker", delimited: false, from: nil, limit: 10)
        return page.objects.contains { $0.key == base + "marker" } ? [] : [.acceptsDirectoryMarkers]
    }

    // MARK: Steps

    /// Whether the request fails because its condition doesn't hold.
    private func isRefused(_ request: () async throws(StoreError) -> Void) async throws(StoreError) -> Bool {
        do {
            try await request()
            return false
        } catch {
            if error.kind == .conditionFailed { return true }
            throw error
        }
    }

    private func object(_ name: ByteString) -> NewObject {
        NewObject(key: base + name, metadata: [:], contentType: nil, operation: "probe")
    }

    /// - Parameter digests: without, the headers hold the checksum.
    private func put(
        _ name: ByteString, _ headers: S3Request.Headers, content: [UInt8] = content, digests: Bool = true
    ) async throws(StoreError) -> ETag {
        if digests {
            let info = try await store.put(PartBody(bytes: content), object(name), headers: headers, crc: false)
            if let etag = info.etag { return etag }
        } else {
            var request = S3Request("probe", "PUT", base + name)
            request.headers = headers
            request.body = .bytes(content)
            if let etag = ETag(s3: try await store.client.send(request).header("etag")) { return etag }
        }
        throw StoreError(.unsupported, "probe", key: base + name, detail: "the server gives no ETag")
    }

    /// The longest keys first: on some servers `d/` and `d` are one thing.
    private func cleanUp() async {
        let names: [ByteString] = [
            "d/x", "d/", "d", "absent", "match", "checksum", "source", "range", "complete", "tag", "copy-from",
            "copy-to", "marker/", "marker",
            "delete", "a",
        ]
        for name in names {
            do { try await store.delete(base + name, condition: .none) } catch {
                store.log.warning("s3", "what a probe wrote can't be removed: \(error)")
            }
        }
    }
}
