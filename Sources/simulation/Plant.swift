import Layers
import ObjectStore
import Primitives

/// A bug that is planted to see that the simulation finds it. All lie at the seams: the disk, the store, the tree's
/// file between two runs.
enum Plant: String, CaseIterable, Sendable {
    /// A sync of a content file does nothing.
    case skippedContentSync
    /// A sync of a page map does nothing.
    case skippedMapSync
    /// A sync of a directory of contents does nothing.
    case skippedDirectorySync
    /// A sync of the tree's log does nothing.
    case skippedLogSync
    /// The last write to a content file before a death was acknowledged before it was there.
    case forgottenWrite
    /// The last write to the tree's log before a death came after what was to follow it: pages are marked clean, or
    /// contents changed, before the tree knows.
    case forgottenCommit
    /// Uploads replace whatever is there.
    case forgottenCondition
    /// An upload is visible by halves.
    case halfUpload
    /// A start forgets that a name has changes to send.
    case forgottenName
}

/// A store through which a planted bug writes.
struct PlantedStore: Interceptor {
    let store: any ObjectStore
    let plant: Plant

    func intercept<Answer: Sendable>(
        _ call: LayerCall, _ perform: @Sendable () async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer {
        try await perform()
    }

    func write(
        _ plan: UploadPlan, to key: ByteString, metadata: Metadata, contentType: String?, condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        if plant == .halfUpload, plan.sizeBytes > 1, plan.base == nil {
            let half = UploadPlan(whole: plan.source, sizeBytes: plan.sizeBytes / 2)
            _ = try await store.write(
                half, to: key, metadata: metadata, contentType: contentType, condition: condition)
            return try await store.write(
                plan, to: key, metadata: metadata, contentType: contentType, condition: .none)
        }
        return try await store.write(
            plan, to: key, metadata: metadata, contentType: contentType,
            condition: plant == .forgottenCondition ? .none : condition)
    }
}
