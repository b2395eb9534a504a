import Credentials
import ObjectStore
import Primitives
import StoreConformance
import Testing

@testable import S3Store

/// Against real servers.
@Suite("S3 servers", .enabled(if: !TestServer.all.isEmpty, Comment(rawValue: TestServer.note)))
struct ServerTests {
    @Test(arguments: TestServer.all, ConformanceSuite.cases)
    func conforms(_ server: TestServer, _ rule: ConformanceCase) async throws {
        let store = try await server.sharedStore()
        try await withKnownDeviations(of: server, rule) {
            for _ in 1..<server.attempts {
                do { return try await ConformanceSuite(store: store).run(rule) } catch {}
            }
            try await ConformanceSuite(store: store).run(rule)
        }
    }

    /// What servers are known not to keep, whatever we do.
    private func withKnownDeviations(
        of server: TestServer, _ rule: ConformanceCase, _ body: () async throws -> Void
    ) async throws {
        guard let reason = Deviations.known[server.name]?[rule.name] else { return try await body() }
        await withKnownIssue(Comment(rawValue: reason), isIntermittent: true) { try await body() }
    }

    @Test(arguments: TestServer.all) func capabilities(_ server: TestServer) async throws {
        // In a bucket where nobody else tries things out.
        let store = try server.store(try await Buckets.make(server).settings.bucket)
        let found = try await store.s3Capabilities()
        print("\(server.name):", found.text.split(separator: "\n").joined(separator: " "))
        switch server.name {
        case "ministack", "seaweedfs":
            #expect(found.contains(.putsIfAbsent) && found.contains(.putsIfMatch))
            #expect(found.contains(.copiesRanges))
            #expect(found.contains(.verifiesChecksums))
        case "rclone":
            #expect(!found.contains(.putsIfAbsent) && !found.contains(.putsIfMatch))
            #expect(!found.contains(.deletesIfMatch) && !found.contains(.verifiesChecksums))
        default: break
        }
        let left = try await store.list(prefix: CapabilityProbe.prefix, delimited: false, from: nil, limit: 100)
        #expect(left.objects.isEmpty)
    }

    @Test(arguments: TestServer.all) func wrongSecret(_ server: TestServer) async throws {
        let bucket = try await server.sharedStore().settings.bucket
        let store = try server.store(bucket, key: AccessKey(id: server.key.id, secret: "wrong"))
        await #expect { try await store.list(prefix: "", delimited: false, from: nil, limit: 1) } throws: { error in
            (error as? StoreError)?.kind == .unauthenticated && !"\(error)".contains("wrong")
        }
    }

    @Test(arguments: TestServer.all) func noSuchBucket(_ server: TestServer) async throws {
        let store = try server.store("pail-test-no-such-bucket")
        await #expect { try await store.list(prefix: "", delimited: false, from: nil, limit: 1) } throws: { error in
            (error as? StoreError)?.kind == .noBucket
        }
        // SeaweedFS makes the bucket.
        if server.name == "seaweedfs" { return }
        await #expect { try await store.capabilities() } throws: { ($0 as? StoreError)?.kind == .noBucket }
    }

    @Test(arguments: TestServer.all, [-3_600_000, 3_600_000] as [Int64])
    func wrongClock(_ server: TestServer, _ offset: Int64) async throws {
        let shared = try await server.sharedStore()
        _ = try await put(shared, ByteString("clock-\(offset)"), [1])
        let store = try server.store(shared.settings.bucket, time: WrongTime(offsetMilliseconds: offset))
        #expect(try await store.head(ByteString("clock-\(offset)")).sizeBytes == 1)
        #expect(try await store.list(prefix: "clock-", delimited: false, from: nil, limit: 10).objects.count >= 1)
        try await store.delete(ByteString("clock-\(offset)"), condition: .none)
    }

    @Test(arguments: TestServer.all) func checksums(_ server: TestServer) async throws {
        let store = try server.store(try await server.sharedStore().settings.bucket)
        guard try await store.s3Capabilities().contains(.verifiesChecksums) else { return }
        let bytes = Array("123456789".utf8)
        _ = try await put(store, "checked", bytes)
        #expect(try await statedChecksum(store, "checked") == "4waSgw==")
        let plan = UploadPlan(bytes: bytes)
        let object = NewObject(key: "checked", metadata: [:], contentType: nil, operation: "write")
        let parts = PartPlan(plan.segments, canCopy: false, partBytes: 5 << 20, copyPartBytes: 5 << 20)
        _ = try await MultipartUpload(store, plan, parts, object, crc: true).run(headers: [], conditions: [])
        #expect(try await statedChecksum(store, "checked") != nil)
        #expect(try await store.read("checked", range: nil, ifMatch: nil).bytes == bytes)
        try await store.delete("checked", condition: .none)
    }

    private func statedChecksum(_ store: S3Store, _ key: ByteString) async throws -> String? {
        var request = S3Request("head", "HEAD", key)
        request.headers = [("x-amz-checksum-mode", "ENABLED")]
        return try await store.client.send(request).header("x-amz-checksum-crc32c")
    }

    @Test(arguments: TestServer.all) func manyPartsWithUnchangedOnes(_ server: TestServer) async throws {
        let shared = try await server.sharedStore()
        var settings = shared.settings
        settings.partBytes = 5 << 20
        settings.copyPartBytes = 5 << 20
        let store = try S3Store(
            settings, credentials: FixedCredentials(server.key), transport: Buckets.transport,
            remembered: try await shared.s3Capabilities())
        let mebibyte = 1 << 20
        var bytes = [UInt8](repeating: 0, count: 17 * mebibyte + 11)
        for index in stride(from: 0, to: bytes.count, by: 4096) {
            bytes[index] = UInt8(truncatingIfNeeded: index >> 12)
        }
        let first = try await put(store, "parts", bytes, metadata: ["mode": "33188"])
        #expect(first.sizeBytes == bytes.count)
        let changed = Int64(6 * mebibyte)..<Int64(6 * mebibyte + 5)
        for index in changed { bytes[Int(index)] = 255 }
        let etag = try #require(first.etag)
        let plan = UploadPlan(
            segments: [
                .unchanged(0..<changed.lowerBound), .new(changed), .unchanged(changed.upperBound..<Int64(bytes.count)),
            ], base: .init(key: "parts", etag: etag), source: MemorySource(bytes))
        let second = try await store.write(
            plan, to: "parts", metadata: ["mode": "33152"], contentType: "text/plain", condition: .matches(etag))
        #expect(second.etag != etag)
        let body = try await store.read("parts", range: nil, ifMatch: second.etag)
        #expect(body.bytes == bytes)
        #expect(body.info.metadata == ["mode": "33152"])
        #expect(body.info.contentType == "text/plain")
        await #expect {
            try await store.write(
                plan, to: "parts", metadata: [:], contentType: nil, condition: .matches(etag))
        } throws: { ($0 as? StoreError)?.kind == .conditionFailed }
        #expect(try await !uploads(store).contains("parts"))
        try await store.delete("parts", condition: .none)
    }

    @Test(arguments: TestServer.all) func copyInParts(_ server: TestServer) async throws {
        let shared = try await server.sharedStore()
        var settings = shared.settings
        settings.singleCopyBytes = 1 << 20
        settings.copyPartBytes = 5 << 20
        let store = try S3Store(
            settings, credentials: FixedCredentials(server.key), transport: Buckets.transport,
            remembered: try await shared.s3Capabilities())
        let bytes = [UInt8](repeating: 7, count: 6 << 20)
        let source = try await put(store, "copied", bytes, metadata: ["mode": "1"])
        let copy = try await store.copy(
            "copied", etag: source.etag, to: "copy", metadata: nil, contentType: nil, condition: .absent)
        #expect(copy.sizeBytes == bytes.count)
        let read = try await store.read("copy", range: nil, ifMatch: copy.etag)
        #expect(read.bytes == bytes && read.info.metadata == ["mode": "1"])
        _ = try await store.delete(["copied", "copy"])
    }

    @Test(arguments: TestServer.all) func leftovers(_ server: TestServer) async throws {
        // In a bucket of its own: it takes away what other tests are doing.
        let store = try await Buckets.make(server)
        let key: ByteString = "left over & <more>/ä"
        let plan = UploadPlan(bytes: [1])
        let parts = PartPlan(plan.segments, canCopy: false, partBytes: 5 << 20, copyPartBytes: 5 << 20)
        let object = NewObject(key: key, metadata: [:], contentType: nil, operation: "write")
        let upload = MultipartUpload(store, plan, parts, object, crc: false)
        _ = try await upload.begin([])
        #expect(try await store.removeLeftovers(olderThanMilliseconds: 3_600_000) == 0)
        let removed = try await store.removeLeftovers(olderThanMilliseconds: -60_000)
        let rest = try await uploads(store)
        #expect(removed >= 1 || server.name == "rclone")
        #expect(!rest.contains(key))
    }

    @Test(arguments: TestServer.all) func presigned(_ server: TestServer) async throws {
        let store = try await server.sharedStore()
        _ = try await put(store, "signed é+ x", Array("hello".utf8))
        let url = try await store.presignedURL("GET", "signed é+ x", expiresSeconds: 60)
        let response = try await Buckets.transport.send(.init(url: url))
        #expect(response.status == 200 && response.body == Array("hello".utf8))
        let forged = try await Buckets.transport.send(.init(url: url.replacing("signed", with: "forged")))
        #expect(forged.status == 403)
    }

    private func put(
        _ store: S3Store, _ key: ByteString, _ bytes: [UInt8], metadata: Metadata = [:]
    ) async throws -> ObjectInfo {
        try await store.write(
            UploadPlan(bytes: bytes), to: key, metadata: metadata, contentType: nil, condition: .none)
    }

    /// The keys of unfinished multipart uploads; none where the server can't tell.
    private func uploads(_ store: S3Store) async throws -> [ByteString] {
        var request = S3Request("list uploads", "GET", nil)
        request.query = [("uploads", "")]
        do {
            return try await store.client.document(request).all("Upload").map { ByteString($0["Key"]?.text ?? "") }
        } catch {
            if error.kind == .unsupported { return [] }
            throw error
        }
    }
}
