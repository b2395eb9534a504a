import ObjectStore
import Primitives

/// A multipart upload that was begun before all of the object is known.
final class S3StartedWrite: StartedWrite {
    private struct State {
        var done: [Int: MultipartUpload.Done] = [:]
        var isEnded = false
    }

    let partBytes: Int64
    let maximumParts = PartPlan.maximumParts
    private let store: S3Store
    private let upload: MultipartUpload
    private let identifier: String
    private let crc: Bool
    private let state = Lock(State())

    init(_ store: S3Store, _ object: NewObject, crc: Bool) async throws(StoreError) {
        self.store = store
        self.crc = crc
        partBytes = store.settings.partBytes
        upload = MultipartUpload(
            store, UploadPlan(bytes: []), PartPlan(sizeBytes: 0, partBytes: partBytes), object, crc: crc)
        identifier = try await upload.begin(try object.headers())
    }

    func send(_ number: Int, from source: any ByteSource) async throws(StoreError) {
        let range = ByteRange(offset: Int64(number) * partBytes, length: partBytes)
        let sent = await upload.persistently { () async throws(StoreError) in
            try await upload.send(PartBody(source, range), number + 1, identifier)
        }
        let part = try sent.get()
        state.withLock { $0.done[number] = part }
    }

    /// Sends what is left, and makes the object.
    func finish(
        _ plan: UploadPlan, _ object: NewObject, _ valid: Set<Int>, _ conditions: S3Request.Headers, trustsETag: Bool
    ) async throws(StoreError) -> ObjectInfo {
        let done = state.withLock { state -> [MultipartUpload.Done] in
            state.isEnded = true
            return valid.compactMap { state.done[$0] }
        }
        let parts = PartPlan(sizeBytes: plan.sizeBytes, partBytes: partBytes)
        let upload = MultipartUpload(store, plan, parts, object, crc: crc, trustsETag: trustsETag)
        return try await upload.run(headers: [], conditions: conditions, started: (identifier, done))
    }

    func abandon() async {
        let isFirst = state.withLock { state -> Bool in
            defer { state.isEnded = true }
            return !state.isEnded
        }
        if isFirst { await upload.abort(identifier) }
    }
}

extension S3Store {
    public func start(
        _ key: ByteString, metadata: Metadata, contentType: String?
    ) async throws(StoreError) -> (any StartedWrite)? {
        try checkNew(key, "write")
        let object = NewObject(key: key, metadata: metadata, contentType: contentType, operation: "write")
        return try await S3StartedWrite(
            self, object, crc: try await s3Capabilities().contains(.verifiesChecksums))
    }
}
