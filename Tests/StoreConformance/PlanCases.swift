import ObjectStore
import Primitives

let planCases: [ConformanceCase] = [
    ConformanceCase("a plan with unchanged ranges of the same key") { trial in
        try await checkPatch(trial, base: "a", destination: "a", oldBytes: 20_000, changed: 8_192..<12_288)
    },
    ConformanceCase("a plan with unchanged ranges of another key") { trial in
        try await checkPatch(trial, base: "a", destination: "b", oldBytes: 20_000, changed: 5_001..<5_002)
        try trial.expectBytes(try await trial.get("a"), content(20_000, seed: 1), "the base")
    },
    ConformanceCase("a plan that changes the first and the last byte") { trial in
        try await checkPatch(trial, base: "a", destination: "a", oldBytes: 9_000, changed: 0..<1)
        try await checkPatch(trial, base: "b", destination: "b", oldBytes: 9_000, changed: 8_999..<9_000)
    },
    ConformanceCase("12 MiB in three segments with 5 MiB unchanged") { trial in
        let mebibyte: Int64 = 1 << 20
        try await checkPatch(
            trial, base: "big", destination: "big", oldBytes: 12 * mebibyte, changed: 5 * mebibyte..<10 * mebibyte)
    },
    ConformanceCase("a plan that appends") { trial in
        let old = content(30_000, seed: 1)
        let new = old + content(10_000, seed: 2)
        let base = try await put(trial, "a", old)
        let plan = UploadPlan(
            segments: [.unchanged(0..<30_000), .new(30_000..<40_000)], base: base, source: MemorySource(new))
        try trial.expectEqual(try await trial.put("a", plan).sizeBytes, 40_000, "size")
        try trial.expectBytes(try await trial.get("a"), new, "content")
    },
    ConformanceCase("a plan that cuts off") { trial in
        let old = content(30_000, seed: 1)
        let base = try await put(trial, "a", old)
        let plan = UploadPlan(segments: [.unchanged(0..<12_345)], base: base, source: MemorySource([]))
        try await trial.put("a", plan)
        try trial.expectBytes(try await trial.get("a"), Array(old[..<12_345]), "content")
    },
    ConformanceCase("a plan takes the metadata that it is given") { trial in
        let base = try await put(trial, "a", content(100), metadata: ["old": "1"])
        let plan = UploadPlan(segments: [.unchanged(0..<100)], base: base, source: MemorySource([]))
        try await trial.put("a", plan, metadata: ["new": "2"])
        try trial.expectEqual(try await trial.head("a").metadata, ["new": "2"], "metadata")
    },
    ConformanceCase("a plan whose base is another version") { trial in
        let stale = try await put(trial, "a", content(20_000, seed: 1))
        try await put(trial, "a", content(20_000, seed: 2))
        try await expectStale(trial, stale)
        try trial.expectBytes(try await trial.get("a"), content(20_000, seed: 2), "the newer version")
    },
    ConformanceCase("a plan whose base is gone") { trial in
        let stale = try await put(trial, "a", content(20_000, seed: 1))
        try await trial.delete("a")
        try await expectStale(trial, stale)
        try trial.expectEqual(try await trial.list().objects, [], "listing")
    },
    ConformanceCase("a plan under a condition", if: \.enforcesConditions) { trial in
        let base = try await put(trial, "a", content(20_000, seed: 1))
        let plan = UploadPlan(
            segments: [.unchanged(0..<10_000), .new(10_000..<20_000)], base: base,
            source: MemorySource(content(20_000, seed: 2)))
        try await trial.expectFailure(.conditionFailed, during: "plan if absent") {
            try await trial.put("a", plan, condition: .absent)
        }
        try await trial.put("a", plan, condition: .matches(base.etag))
        try await trial.expectFailure(.conditionFailed, during: "the same plan again") {
            try await trial.put("a", plan, condition: .matches(base.etag))
        }
        let wanted = content(20_000, seed: 1)[..<10_000] + content(20_000, seed: 2)[10_000...]
        try trial.expectBytes(try await trial.get("a"), Array(wanted), "content")
    },
]

extension StoreCapabilities {
    fileprivate var enforcesConditions: Bool { writesIfMatch && writesIfAbsent }
}

@discardableResult
private func put(
    _ trial: Trial, _ name: ByteString, _ bytes: [UInt8], metadata: Metadata = [:]
) async throws -> UploadPlan.Base {
    guard let etag = try await trial.put(name, bytes, metadata: metadata).etag else {
        throw ConformanceFailure("no etag")
    }
    return UploadPlan.Base(key: trial.key(name), etag: etag)
}

/// Replaces `changed` in an object and compares the whole of it.
private func checkPatch(
    _ trial: Trial, base name: ByteString, destination: ByteString, oldBytes: Int64, changed: ByteRange
) async throws {
    let old = content(Int(oldBytes), seed: 1)
    var new = old
    let patch = Int(changed.lowerBound)..<Int(changed.upperBound)
    new.replaceSubrange(patch, with: content(patch.count, seed: 99))
    let base = try await put(trial, name, old)
    let segments: [UploadPlan.Segment] = [
        .unchanged(0..<changed.lowerBound), .new(changed), .unchanged(changed.upperBound..<oldBytes),
    ].filter { !$0.range.isEmpty }
    let info = try await trial.put(destination, UploadPlan(segments: segments, base: base, source: MemorySource(new)))
    try trial.expectEqual(info.sizeBytes, oldBytes, "size")
    let body = try await trial.store.read(trial.key(destination), range: nil, ifMatch: info.etag)
    try trial.expectBytes(body.bytes, new, "content")
}

private func expectStale(_ trial: Trial, _ base: UploadPlan.Base) async throws {
    let plan = UploadPlan(
        segments: [.unchanged(0..<10_000), .new(10_000..<20_000)], base: base,
        source: MemorySource(content(20_000, seed: 3)))
    for name in ["a", "b"] as [ByteString] {
        try await trial.expectFailure(.conditionFailed, during: "plan on a base that is not there") {
            try await trial.put(name, plan)
        }
    }
}
