import ObjectStore
import Primitives

let readingCases: [ConformanceCase] = [
    ConformanceCase("what is written is read") { trial in
        let bytes = content(100_003)
        let written = try await trial.put("a", bytes, metadata: ["mode": "33188"])
        try trial.expectEqual(written.key, trial.key("a"), "key of the write's answer")
        try trial.expectEqual(written.sizeBytes, 100_003, "size of the write's answer")
        let body = try await trial.store.read(trial.key("a"), range: nil, ifMatch: nil)
        try trial.expectBytes(body.bytes, bytes, "body")
        let head = try await trial.head("a")
        for info in [body.info, head] {
            try trial.expectEqual(info.key, trial.key("a"), "key")
            try trial.expectEqual(info.sizeBytes, 100_003, "size")
            try trial.expectEqual(info.etag, written.etag, "etag")
            try trial.expectEqual(info.metadata, ["mode": "33188"], "metadata")
        }
        try trial.expectEqual(body.info.lastModified.seconds, head.lastModified.seconds, "last modified")
    },
    ConformanceCase("an empty object") { trial in
        try await trial.put("empty", [])
        try trial.expectEqual(try await trial.head("empty").sizeBytes, 0, "size")
        try trial.expectBytes(try await trial.get("empty"), [], "body")
        try trial.expectBytes(try await trial.get("empty", 0..<10), [], "range of an empty object")
        try trial.expectEqual(try await trial.list().objects, ["empty"], "listing")
    },
    ConformanceCase("every byte value") { trial in
        let bytes = (0..<1024).map { UInt8($0 & 255) }
        try await trial.put("binary", bytes)
        try trial.expectBytes(try await trial.get("binary"), bytes, "body")
    },
    ConformanceCase("what doesn't exist is not found") { trial in
        try await trial.expectFailure(.notFound, during: "head") { _ = try await trial.head("none") }
        try await trial.expectFailure(.notFound, during: "read") { _ = try await trial.get("none") }
        try await trial.expectFailure(.notFound, during: "ranged read") { _ = try await trial.get("none", 0..<10) }
    },
    ConformanceCase("an overwrite is visible at once") { trial in
        for round in 0..<5 {
            let bytes = content(1000 + round, seed: UInt64(round))
            let written = try await trial.put("a", bytes, metadata: ["round": "\(round)"])
            try trial.expectBytes(try await trial.get("a"), bytes, "body of round \(round)")
            let head = try await trial.head("a")
            try trial.expectEqual(head.etag, written.etag, "etag of round \(round)")
            try trial.expectEqual(head.metadata, ["round": "\(round)"], "metadata of round \(round)")
            let listed = try await trial.listInfo("")
            try trial.expectEqual(listed.objects.map(\.sizeBytes), [Int64(bytes.count)], "size in the listing")
        }
    },
    ConformanceCase("another content has another etag") { trial in
        let first = try await trial.put("a", content(50, seed: 1))
        let second = try await trial.put("a", content(50, seed: 2))
        try trial.expect(first.etag != nil && second.etag != nil, "a write's answer has no etag")
        try trial.expect(first.etag != second.etag, "both versions are \(first.etag?.value ?? "nil")")
        let listed = try await trial.listInfo("").objects.first
        if let tag = listed?.etag { try trial.expectEqual(tag, second.etag, "etag in the listing") }
    },
    ConformanceCase("metadata comes back") { trial in
        let metadata = [
            "mode": "33188", "mtime": "1700000000.123456789", "odd": "a b;c=d,e%2F+&<>", "x-y": "\"q\"",
        ]
        try await trial.put("a", [1], metadata: metadata)
        try trial.expectEqual(try await trial.head("a").metadata, metadata, "metadata")
        try await trial.put("a", [1], metadata: ["other": "1"])
        try trial.expectEqual(try await trial.head("a").metadata, ["other": "1"], "metadata after an overwrite")
        try await trial.put("a", [1])
        try trial.expectEqual(try await trial.head("a").metadata, [:], "metadata after an overwrite without any")
    },
    ConformanceCase("the content type comes back") { trial in
        try await trial.put("a", [1], contentType: "text/x-pail; charset=utf-8")
        try trial.expectEqual(try await trial.head("a").contentType, "text/x-pail; charset=utf-8", "content type")
    },
    ConformanceCase("times are about now") { trial in
        let before = SystemTime().now().seconds
        try await trial.put("a", [1])
        for time in [try await trial.head("a").lastModified, try await trial.listInfo("").objects[0].lastModified] {
            try trial.expect(abs(time.seconds - before) < 900, "last modified is \(time.seconds), now is \(before)")
        }
    },
    ConformanceCase("ranges") { trial in
        let bytes = content(10_000)
        let etag = try await trial.put("a", bytes).etag
        for range in [0..<1, 9_999..<10_000, 0..<10_000, 1..<9_999, 4_095..<4_097, 5_000..<5_500] as [ByteRange] {
            let wanted = Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])
            let body = try await trial.store.read(trial.key("a"), range: range, ifMatch: nil)
            try trial.expectBytes(body.bytes, wanted, "range \(range)")
            try trial.expectEqual(body.info.sizeBytes, 10_000, "size of the object in a ranged read")
            try trial.expectEqual(body.info.etag, etag, "etag in a ranged read")
        }
    },
    ConformanceCase("ranges are clipped to the end") { trial in
        let bytes = content(1_000)
        try await trial.put("a", bytes)
        try trial.expectBytes(try await trial.get("a", 900..<5_000), Array(bytes[900...]), "over the end")
        try trial.expectBytes(try await trial.get("a", 0..<1 << 40), bytes, "far over the end")
        try trial.expectBytes(try await trial.get("a", 1_000..<1_010), [], "at the end")
        try trial.expectBytes(try await trial.get("a", 5_000..<5_010), [], "beyond the end")
    },
    ConformanceCase("reads of a version") { trial in
        let old = content(500, seed: 1)
        let new = content(600, seed: 2)
        guard let oldTag = try await trial.put("a", old).etag else { throw ConformanceFailure("no etag") }
        try trial.expectBytes(try await trial.get("a", ifMatch: oldTag), old, "the present version")
        try trial.expectBytes(try await trial.get("a", 10..<20, ifMatch: oldTag), Array(old[10..<20]), "its range")
        let newTag = try await trial.put("a", new).etag
        try await trial.expectFailure(.conditionFailed, during: "read of a former version") {
            _ = try await trial.get("a", ifMatch: oldTag)
        }
        try await trial.expectFailure(.conditionFailed, during: "ranged read of a former version") {
            _ = try await trial.get("a", 0..<10, ifMatch: oldTag)
        }
        try trial.expectBytes(try await trial.get("a", ifMatch: newTag), new, "the new version")
    },
    ConformanceCase("an upload whose source fails changes nothing") { trial in
        try await trial.put("a", [1, 2, 3])
        let broken = UploadPlan(whole: BrokenSource(), sizeBytes: 200_000)
        for name in ["a", "new"] as [ByteString] {
            try await trial.expectFailure(.cancelled, .refused, during: "upload of a failing source") {
                try await trial.put(name, broken)
            }
        }
        try trial.expectBytes(try await trial.get("a"), [1, 2, 3], "the old version")
        try trial.expectEqual(try await trial.list().objects, ["a"], "listing")
    },
]

/// Fails in the middle.
private struct BrokenSource: ByteSource {
    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) {
        if offset + Int64(buffer.count) > 100_000 { throw StoreError(.cancelled, "read source", detail: "changed") }
        for index in buffer.indices { buffer[index] = 1 }
    }
}
