import ObjectStore
import Primitives

/// The connection of one session to the bucket. When it is cut, as by the death of the process, the session's calls
/// fail and change nothing any more.
final class Lifeline: ObjectStore {
    private struct State {
        /// Calls until the cut; nil: none is planned.
        var callsLeft: Int?
        /// Whether the last call before the cut is carried out.
        var carriesOutLast = false
        var isCut = false
    }

    private enum Course { case pass, carryOutUnheard, fail }

    private let inner: any ObjectStore
    private let note: @Sendable (String) -> Void
    private let state = Lock(State())
    /// Done once, right after the next write.
    let afterNextWrite = Lock<(@Sendable () -> Void)?>(nil)

    /// - Parameter note: told of each call and what came of it.
    init(_ inner: any ObjectStore, note: @escaping @Sendable (String) -> Void) {
        self.inner = inner
        self.note = note
    }

    var isCut: Bool { state.withLock { $0.isCut } }
    func cut() { state.withLock { $0.isCut = true } }

    /// Takes a planned cut back.
    func survive() { state.withLock { $0.callsLeft = nil } }

    /// Plans the cut for the `calls`-th call from now on.
    func cut(after calls: Int, carryingOutLast: Bool) {
        state.withLock { state in
            state.callsLeft = calls
            state.carriesOutLast = carryingOutLast
        }
    }

    private func perform<Answer>(
        _ call: String, _ body: () async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer {
        let course = state.withLock { state -> Course in
            if state.isCut { return .fail }
            guard let left = state.callsLeft else { return .pass }
            state.callsLeft = left - 1
            if left > 1 { return .pass }
            state.isCut = true
            return state.carriesOutLast ? .carryOutUnheard : .fail
        }
        if course != .fail {
            let result: Result<Answer, StoreError>
            do throws(StoreError) { result = .success(try await body()) } catch { result = .failure(error) }
            note("  \(call): \(Self.describe(result))")
            if course == .pass, !isCut { return try result.get() }
        }
        throw StoreError(.unavailable, "call", detail: "the process is dead")
    }

    private static func describe<Answer>(_ result: Result<Answer, StoreError>) -> String {
        switch result {
        case .failure(let error): "\(error.kind) \(error.detail)"
        case .success(let info as ObjectInfo): info.etag?.value ?? "-"
        case .success(let page as ListPage): "\(page.objects.map(\.key)) \(page.prefixes)"
        case .success: "done"
        }
    }

    var name: String { inner.name }

    func capabilities() async throws(StoreError) -> StoreCapabilities { try await inner.capabilities() }

    func list(
        prefix: ByteString, delimited: Bool, from: ListPosition?, limit: Int
    ) async throws(StoreError) -> ListPage {
        try await perform("list \(prefix)") { () async throws(StoreError) in
            try await inner.list(prefix: prefix, delimited: delimited, from: from, limit: limit)
        }
    }

    func head(_ key: ByteString) async throws(StoreError) -> ObjectInfo {
        try await perform("head \(key)") { () async throws(StoreError) in try await inner.head(key) }
    }

    func read(_ key: ByteString, range: ByteRange?, ifMatch: ETag?) async throws(StoreError) -> ObjectBody {
        try await perform("read \(key) \(ifMatch?.value ?? "")") { () async throws(StoreError) in
            try await inner.read(key, range: range, ifMatch: ifMatch)
        }
    }

    func write(
        _ plan: UploadPlan, to key: ByteString, metadata: Metadata, contentType: String?, condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        try await perform("write \(key) \(condition)") { () async throws(StoreError) in
            let info = try await inner.write(
                plan, to: key, metadata: metadata, contentType: contentType, condition: condition)
            let next = afterNextWrite.withLock { next in
                defer { next = nil }
                return next
            }
            next?()
            return info
        }
    }

    func start(
        _ key: ByteString, metadata: Metadata, contentType: String?
    ) async throws(StoreError) -> (any StartedWrite)? {
        try await perform("start \(key)") { () async throws(StoreError) in
            try await inner.start(key, metadata: metadata, contentType: contentType)
        }
    }

    func copy(
        _ source: ByteString, etag: ETag?, to destination: ByteString, metadata: Metadata?, contentType: String?,
        condition: Condition
    ) async throws(StoreError) -> ObjectInfo {
        try await perform("copy \(source) \(etag?.value ?? "") to \(destination) \(condition)") {
            () async throws(StoreError) in
            try await inner.copy(
                source, etag: etag, to: destination, metadata: metadata, contentType: contentType,
                condition: condition)
        }
    }

    func delete(_ key: ByteString, condition: Condition) async throws(StoreError) {
        try await perform("delete \(key) \(condition)") { () async throws(StoreError) in
            try await inner.delete(key, condition: condition)
        }
    }

    func delete(_ keys: [ByteString]) async throws(StoreError) -> [StoreError?] {
        try await perform("delete many") { () async throws(StoreError) in try await inner.delete(keys) }
    }

    func removeLeftovers(olderThanMilliseconds ageMilliseconds: Int64) async throws(StoreError) -> Int {
        try await perform("remove leftovers") { () async throws(StoreError) in
            try await inner.removeLeftovers(olderThanMilliseconds: ageMilliseconds)
        }
    }
}
