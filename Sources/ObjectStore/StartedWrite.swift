import Primitives

/// A write that was begun before it is known what all of its bytes are: parts are sent ahead, in any order and each as
/// often as it changes; an `UploadPlan` that names it makes the object of them and the rest. Until then nobody sees
/// anything of it. Safe from any thread.
public protocol StartedWrite: AnyObject, Sendable {
    /// The length of a part: part `n` holds the bytes from `n * partBytes` on.
    var partBytes: Int64 { get }

    /// Most parts that an object can have.
    var maximumParts: Int { get }

    /// Sends all of part `number` (0 is the first), which may have been sent before. Retries by itself.
    func send(_ number: Int, from source: any ByteSource) async throws(StoreError)

    /// Takes back what was sent, unless it has become an object. May be called more than once.
    func abandon() async
}

extension ObjectStore {
    /// For stores that can't.
    public func start(
        _ key: ByteString, metadata: Metadata, contentType: String?
    ) async throws(StoreError) -> (any StartedWrite)? { nil }
}
