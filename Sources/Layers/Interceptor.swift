import ObjectStore
import Primitives

/// One call on its way through a layer.
public struct LayerCall: Sendable, Equatable {
    public enum Operation: String, Sendable, CaseIterable {
        case capabilities, list, head, read, write, copy, delete, deleteMany, removeLeftovers

        /// Whether carrying the call out twice does no more than carrying it out once, so that it may be tried again
        /// even if it may have happened. A write that happened makes its own repetition fail on its condition, and
        /// could overwrite what somebody wrote in between; a delete that happens late removes what was written again.
        var isRepeatable: Bool { self != .write && self != .copy && self != .delete }
    }

    public var operation: Operation
    /// The key, a list's prefix, a copy's destination, the first of many.
    public var key: ByteString?
}

/// A store around a store that does the same with each call, whatever it asks for.
public protocol Interceptor: ObjectStore {
    var store: any ObjectStore { get }

    /// Carries the call out by `perform`, never, once or several times.
    func intercept<Answer: Sendable>(
        _ call: LayerCall, _ perform: @Sendable () async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer
}

extension Interceptor {
    public var name: String { store.name }

    public func capabilities() async throws(StoreError) -> StoreCapabilities {
        try await intercept(LayerCall(operation: .capabilities)) { [store] () async throws(StoreError) in
            try await store.capabilities()
        }
    }

    public func list(
        prefix: ByteString, delimited: Bool, from: ListPosition?, limit: Int
    ) async throws(StoreError) -> ListPage {
        try await intercept(LayerCall(operation: .list, key: prefix)) { [store] () async throws(StoreError) in
            try await store.list(prefix: prefix, delimited: delimited, from: from, limit: limit)
        }
    }

    public func head(_ key: ByteString) async throws(StoreError) -> ObjectInfo {
        try await intercept(LayerCall(operation: .head, key: key)) { [store] () async throws(StoreError) in
            try await store.head(key)
        }
    }

    public func read(_ key: ByteString, range: ByteRange?, ifMatch: ETag?) async throws(StoreError) -> ObjectBody {
        try await intercept(LayerCall(operation: .read, key: key)) { [store] () async throws(StoreError) in
            try await store.read(key, range: range, ifMatch: ifMatch)
        }
    }

    public func read(
        _ key: ByteString, range: ByteRange, ifMatch: ETag, into sink: any ByteSink
    ) async throws(StoreError) {
        try await intercept(LayerCall(operation: .read, key: key)) { [store] () async throws(StoreError) in
            try await store.read(key, range: range, ifMatch: ifMatch, into: sink)
        }
    }

    public func write(
        _ plan: UploadPlan, to key: ByteString, metadata: Metadata, contentType: String?, condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        try await intercept(LayerCall(operation: .write, key: key)) { [store] () async throws(StoreError) in
            try await store.write(plan, to: key, metadata: metadata, contentType: contentType, condition: condition)
        }
    }

    public func start(
        _ key: ByteString, metadata: Metadata, contentType: String?
    ) async throws(StoreError) -> (any StartedWrite)? {
        try await intercept(LayerCall(operation: .write, key: key)) { [store] () async throws(StoreError) in
            try await store.start(key, metadata: metadata, contentType: contentType)
        }
    }

    public func copy(
        _ source: ByteString, etag: ETag?, to destination: ByteString, metadata: Metadata?, contentType: String?,
        condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        try await intercept(LayerCall(operation: .copy, key: destination)) { [store] () async throws(StoreError) in
            try await store.copy(
                source, etag: etag, to: destination, metadata: metadata, contentType: contentType,
                condition: condition)
        }
    }

    public func delete(_ key: ByteString, condition: Condition) async throws(StoreError) {
        try await intercept(LayerCall(operation: .delete, key: key)) { [store] () async throws(StoreError) in
            try await store.delete(key, condition: condition)
        }
    }

    public func delete(_ keys: [ByteString]) async throws(StoreError) -> [StoreError?] {
        try await intercept(LayerCall(operation: .deleteMany, key: keys.first)) { [store] () async throws(StoreError) in
            try await store.delete(keys)
        }
    }

    public func removeLeftovers(olderThanMilliseconds ageMilliseconds: Int64) async throws(StoreError) -> Int {
        try await intercept(LayerCall(operation: .removeLeftovers)) { [store] () async throws(StoreError) in
            try await store.removeLeftovers(olderThanMilliseconds: ageMilliseconds)
        }
    }
}
