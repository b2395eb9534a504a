import ObjectStore
import Primitives

/// Keys that are names with something odd in them; every store can hold them.
private let oddNames: [ByteString] = [
    "two words", " leading", "trailing ", "plus+plus", "per%cent", "per%20cent", "amp&ersand", "a=b", "a?b#c", "a;b,c",
    "quo\"te", "apo'strophe", "<tag>", "[x]{y}", "back\\slash", "star*", "~tilde", "@:$!()|^`", "esc\u{1B}ape",
    "tab\there", "new\nline", "cr\rhere", "ümläut", "u\u{308}", "日本語", "emoji 😀👩‍👩‍👧", "dots...", ".hidden", "..two",
    "trailing.", "-dash", "&amp;", "%", "+", "%2F", "\u{7F}", "\u{FFFD}", "\u{202E}rtl",
]

/// Keys that a store may refuse, but then wholly.
private let refusableNames: [ByteString] = [
    "a//b", "//", "./a", "../a", "a/../b", "a/./b", "a/.", "a/..", "nul\0nul", ByteString(bytes: [0x66, 0xFF, 0xFE]),
    "\u{1}\u{2}", "\u{FFFE}\u{FFFF}", ByteString(String(repeating: "x", count: 600)),
]

let keyCases: [ConformanceCase] = [
    ConformanceCase("odd keys") { trial in
        try await withThrowingTaskGroup(of: Void.self) { group in
            for name in oddNames { group.addTask { try await trial.put(name, name.bytes) } }
            try await group.waitForAll()
        }
        for name in oddNames {
            try trial.expectBytes(try await trial.get(name), name.bytes, "content of “\(name)”")
            try trial.expectEqual(try await trial.head(name).key, trial.key(name), "key")
        }
        try trial.expectEqual(try await trial.list().objects, oddNames.sorted(), "listing")
        try trial.expectEqual(try await trial.list(limit: 1).objects, oddNames.sorted(), "listing by 1")
        let errors = try await trial.store.delete(oddNames.map { trial.key($0) })
        try trial.expect(errors.allSatisfy { $0 == nil }, "batch delete: \(errors)")
        try trial.expectEqual(try await trial.list().objects, [], "listing after the batch delete")
    },
    ConformanceCase("odd keys as directories, copied, deleted alone") { trial in
        for name in oddNames {
            let inside = name + "/" + name
            try await trial.put(inside, [1])
            try trial.expectEqual(try await trial.list(name + "/", delimited: true).objects, [inside], "inside")
            try await trial.copy(inside, to: "copy of " + name)
            try trial.expectBytes(try await trial.get("copy of " + name), [1], "copy of “\(name)”")
            try await trial.delete(inside)
        }
        let rest = try await trial.list(delimited: true)
        try trial.expectEqual(rest.objects, oddNames.map { "copy of " + $0 }.sorted(), "copies")
        try trial.expectEqual(rest.prefixes, [], "directories")
    },
    ConformanceCase("keys that can be refused are refused or held") { trial in
        try await trial.put("witness", [7])
        for name in refusableNames {
            do {
                try await trial.put(name, name.bytes)
            } catch let error as StoreError where error.kind == .refused {
                try trial.expectEqual(try await trial.list().objects, ["witness"], "after refusing “\(name)”")
                continue
            }
            try trial.expectBytes(try await trial.get(name), name.bytes, "content of “\(name)”")
            try trial.expect(
                try await trial.list().objects.sorted() == [name, "witness"].sorted(), "“\(name)” isn't listed as it is"
            )
            try await trial.delete(name)
        }
        try trial.expectBytes(try await trial.get("witness"), [7], "witness")
    },
    ConformanceCase("the longest key") { trial in
        var name = ByteString()
        let segment = ByteString(String(repeating: "k", count: 199) + "/")
        let length = min(trial.capabilities.maximumKeyBytes, 1024) - trial.prefix.count
        while name.count + segment.count < length { name = name + segment }
        name = name + ByteString(String(repeating: "z", count: length - name.count))
        try await trial.put(name, [1])
        try trial.expectBytes(try await trial.get(name), [1], "content")
        try trial.expectEqual(try await trial.list().objects, [name], "listing")
        try trial.expectEqual(try await trial.list(limit: 1).objects, [name], "listing by 1")
    },
]

let limitCases: [ConformanceCase] = [
    ConformanceCase("a key too long is refused") { trial in
        let segments = trial.capabilities.maximumKeyBytes / 100 + 1
        let name = ByteString(String(repeating: String(repeating: "k", count: 99) + "/", count: segments) + "z")
        try await trial.expectFailure(.refused, during: "write of a key of \(name.count) bytes") {
            try await trial.put(name, [1])
        }
        try trial.expectEqual(try await trial.list().objects, [], "listing")
    },
    ConformanceCase("an empty key is refused") { trial in
        try await trial.expectFailure(.refused, during: "write of an empty key") {
            _ = try await trial.store.write(
                UploadPlan(bytes: [1]), to: "", metadata: [:], contentType: nil, condition: .none)
        }
    },
    ConformanceCase("metadata too large is refused") { trial in
        let size = trial.capabilities.maximumMetadataBytes
        try await trial.put("fits", [1], metadata: ["k": String(repeating: "v", count: size - 1)])
        try trial.expectEqual(try await trial.head("fits").metadata?["k"]?.utf8.count, size - 1, "size of the value")
        try await trial.expectFailure(.refused, during: "write with \(size + 1) bytes of metadata") {
            try await trial.put("a", [1], metadata: ["k": String(repeating: "v", count: size)])
        }
        try trial.expectEqual(try await trial.list().objects, ["fits"], "listing")
    },
    ConformanceCase("a cancelled task's calls are cancelled") { trial in
        try await trial.put("a", [1])
        let calls: [(String, @Sendable () async throws -> Void)] = [
            ("read", { _ = try await trial.get("a") }), ("head", { _ = try await trial.head("a") }),
            ("list", { _ = try await trial.list() }), ("write", { try await trial.put("b", content(100_000)) }),
            ("copy", { try await trial.copy("a", to: "c") }), ("delete", { try await trial.delete("a") }),
        ]
        for (name, call) in calls {
            let task = Task {
                while !Task.isCancelled { await Task.yield() }
                try await trial.expectFailure(.cancelled, during: "\(name) in a cancelled task", call)
            }
            task.cancel()
            try await task.value
        }
        try trial.expectEqual(try await trial.list().objects, ["a"], "listing")
    },
    ConformanceCase("removing leftovers leaves objects alone") { trial in
        try await trial.put("a", content(10_000))
        _ = try await trial.store.removeLeftovers(olderThanMilliseconds: 3_600_000)
        try trial.expectBytes(try await trial.get("a"), content(10_000), "content")
    },
    ConformanceCase("capabilities stay the same") { trial in
        try trial.expectEqual(try await trial.store.capabilities(), trial.capabilities, "capabilities")
        try trial.expect(!trial.store.name.isEmpty, "the store has no name")
    },
]
