import ObjectStore
import Primitives

/// One case's view of the store: short names for what the cases do, and the checks.
struct Trial: Sendable {
    /// No listing of a case is longer.
    private static let maximumPages = 300

    let store: any ObjectStore
    let capabilities: StoreCapabilities
    let prefix: ByteString

    func key(_ name: ByteString) -> ByteString { prefix + name }

    @discardableResult
    func put(
        _ name: ByteString, _ bytes: [UInt8], metadata: Metadata = [:], contentType: String? = nil,
        condition: Condition = .none
    ) async throws -> ObjectInfo {
        try await put(
            name, UploadPlan(bytes: bytes), metadata: metadata, contentType: contentType, condition: condition)
    }

    @discardableResult
    func put(
        _ name: ByteString, _ plan: UploadPlan, metadata: Metadata = [:], contentType: String? = nil,
        condition: Condition = .none
    ) async throws -> ObjectInfo {
        try await store.write(
            plan, to: key(name), metadata: metadata, contentType: contentType, condition: condition)
    }

    func get(_ name: ByteString, _ range: ByteRange? = nil, ifMatch: ETag? = nil) async throws -> [UInt8] {
        try await store.read(key(name), range: range, ifMatch: ifMatch).bytes
    }

    func head(_ name: ByteString) async throws -> ObjectInfo { try await store.head(key(name)) }

    @discardableResult
    func copy(
        _ name: ByteString, etag: ETag? = nil, to other: ByteString, metadata: Metadata? = nil,
        condition: Condition = .none
    ) async throws -> ObjectInfo {
        try await store.copy(
            key(name), etag: etag, to: key(other), metadata: metadata, contentType: nil, condition: condition)
    }

    func delete(_ name: ByteString, _ condition: Condition = .none) async throws {
        try await store.delete(key(name), condition: condition)
    }

    /// All pages of a listing under the case's prefix, the keys without it.
    func list(
        _ name: ByteString = "", delimited: Bool = false, after: ByteString? = nil, limit: Int = 1000
    ) async throws -> (objects: [ByteString], prefixes: [ByteString]) {
        let page = try await listInfo(name, delimited: delimited, after: after, limit: limit)
        return (page.objects.map { $0.key.dropFirst(prefix.count) }, page.prefixes.map { $0.dropFirst(prefix.count) })
    }

    /// All pages of a listing as one; checks that no page is too long.
    func listInfo(
        _ name: ByteString, delimited: Bool = false, after: ByteString? = nil, limit: Int = 1000
    ) async throws -> ListPage {
        var all = ListPage()
        var from = after.map { ListPosition.after(key($0)) }
        for _ in 0..<Self.maximumPages {
            let page = try await store.list(prefix: key(name), delimited: delimited, from: from, limit: limit)
            try expect(page.objects.count + page.prefixes.count <= limit, "a page is longer than \(limit)")
            all.objects += page.objects
            all.prefixes += page.prefixes
            guard let next = page.next else { return all }
            from = .page(next)
        }
        throw ConformanceFailure("the listing doesn't end")
    }

    func cleanUp() async {
        for _ in 0..<Self.maximumPages {
            guard let page = try? await store.list(prefix: prefix, delimited: false, from: nil, limit: 1000),
                !page.objects.isEmpty, (try? await store.delete(page.objects.map(\.key))) != nil
            else { return }
        }
    }

    // MARK: Checks

    func expect(_ holds: Bool, _ message: @autoclosure () -> String) throws {
        if !holds { throw ConformanceFailure(message()) }
    }

    func expectEqual<Value: Equatable>(_ value: Value, _ wanted: Value, _ what: String) throws {
        if value != wanted { throw ConformanceFailure("\(what): \(value), not \(wanted)") }
    }

    /// Compares without printing what may be megabytes.
    func expectBytes(_ bytes: [UInt8], _ wanted: [UInt8], _ what: String) throws {
        if bytes == wanted { return }
        let first = zip(bytes, wanted).enumerated().first { $0.element.0 != $0.element.1 }?.offset
        let place = first.map { ", first at \($0)" } ?? ""
        throw ConformanceFailure("\(what): \(bytes.count) bytes differ from \(wanted.count) wanted\(place)")
    }

    func expectFailure(
        _ kinds: StoreError.Kind..., during what: String, _ body: () async throws -> Void
    ) async throws {
        do {
            try await body()
        } catch let error as StoreError {
            try expect(kinds.contains(error.kind), "\(what) failed with “\(error)”, not \(kinds.map(\.rawValue))")
            return
        }
        throw ConformanceFailure("\(what) succeeded")
    }
}

/// Bytes that look random and are the same for a seed.
func content(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var generator = SeededGenerator(seed: seed)
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
        let raw = UnsafeMutableRawBufferPointer(buffer)
        for word in 0..<(count / 8) {
            raw.storeBytes(of: generator.next(), toByteOffset: word * 8, as: UInt64.self)
        }
        for index in (count / 8 * 8)..<count { raw[index] = UInt8(truncatingIfNeeded: generator.next()) }
        initialized = count
    }
}
