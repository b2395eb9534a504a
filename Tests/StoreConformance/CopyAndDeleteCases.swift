import ObjectStore
import Primitives

let copyCases: [ConformanceCase] = [
    ConformanceCase("a copy keeps the source's metadata") { trial in
        let bytes = content(70_000)
        let source = try await trial.put("a", bytes, metadata: ["k": "v"], contentType: "text/plain")
        let made = try await trial.copy("a", etag: source.etag, to: "b/c")
        try trial.expectEqual(made.key, trial.key("b/c"), "key of the answer")
        try trial.expectBytes(try await trial.get("b/c"), bytes, "copy")
        let head = try await trial.head("b/c")
        try trial.expectEqual(head.metadata, ["k": "v"], "metadata")
        try trial.expectEqual(head.contentType, "text/plain", "content type")
        try trial.expectEqual(head.etag, made.etag, "etag")
        try trial.expectBytes(try await trial.get("a"), bytes, "source")
    },
    ConformanceCase("a copy with other metadata") { trial in
        try await trial.put("a", [1, 2], metadata: ["k": "v"], contentType: "text/plain")
        try await trial.copy("a", to: "b", metadata: ["k": "w"])
        let copy = try await trial.head("b")
        try trial.expectEqual(copy.metadata, ["k": "w"], "metadata")
        try trial.expectEqual(copy.contentType, "text/plain", "content type")
        try trial.expectEqual(try await trial.head("a").metadata, ["k": "v"], "metadata of the source")
    },
    ConformanceCase("a copy replaces what is there") { trial in
        try await trial.put("a", [1, 2, 3])
        try await trial.put("b", [9])
        try await trial.copy("a", to: "b")
        try trial.expectBytes(try await trial.get("b"), [1, 2, 3], "copy")
    },
    ConformanceCase("a copy to itself changes the metadata") { trial in
        let bytes = content(5_000)
        let old = try await trial.put("a", bytes, metadata: ["k": "v"])
        let new = try await trial.copy("a", etag: old.etag, to: "a", metadata: ["k": "w", "l": "x"])
        let head = try await trial.head("a")
        try trial.expectEqual(head.metadata, ["k": "w", "l": "x"], "metadata")
        try trial.expectEqual(head.etag, new.etag, "etag")
        try trial.expectBytes(try await trial.get("a", ifMatch: new.etag), bytes, "content")
    },
    ConformanceCase("a copy of another version fails") { trial in
        let stale = try await trial.put("a", [1]).etag
        try await trial.put("a", [2])
        try await trial.expectFailure(.conditionFailed, during: "copy of a former version") {
            try await trial.copy("a", etag: stale, to: "b")
        }
        try trial.expectEqual(try await trial.list().objects, ["a"], "listing")
    },
    ConformanceCase("a copy of what doesn't exist fails") { trial in
        try await trial.expectFailure(.notFound, during: "copy of nothing") { try await trial.copy("none", to: "b") }
        let gone = try await trial.put("a", [1]).etag
        try await trial.delete("a")
        try await trial.expectFailure(.notFound, .conditionFailed, during: "copy of a version that is gone") {
            try await trial.copy("a", etag: gone, to: "b")
        }
        try trial.expectEqual(try await trial.list().objects, [], "listing")
    },
    ConformanceCase("a copy under a condition on the destination") { trial in
        try await trial.put("a", [1])
        let other = try await trial.put("b", [2]).etag
        try await trial.expectFailure(.conditionFailed, during: "copy over an object if absent") {
            try await trial.copy("a", to: "b", condition: .absent)
        }
        try trial.expectBytes(try await trial.get("b"), [2], "destination")
        try await trial.copy("a", to: "c", condition: .absent)
        try trial.expectBytes(try await trial.get("c"), [1], "copy if absent")
        guard let other else { throw ConformanceFailure("no etag") }
        try await trial.copy("a", to: "b", condition: .matches(other))
        try trial.expectBytes(try await trial.get("b"), [1], "copy if it matches")
        try await trial.expectFailure(.conditionFailed, during: "copy over another version") {
            try await trial.copy("a", to: "b", metadata: ["k": "v"], condition: .matches(other))
        }
    },
]

let deleteCases: [ConformanceCase] = [
    ConformanceCase("what is deleted is gone at once") { trial in
        try await trial.put("d/a", [1])
        try await trial.put("d/b", [1])
        try await trial.delete("d/a")
        try await trial.expectFailure(.notFound, during: "head") { _ = try await trial.head("d/a") }
        try await trial.expectFailure(.notFound, during: "read") { _ = try await trial.get("d/a") }
        try trial.expectEqual(try await trial.list().objects, ["d/b"], "listing")
        try await trial.delete("d/b")
        try trial.expectEqual(try await trial.list(delimited: true).prefixes, [], "prefixes")
    },
    ConformanceCase("to delete what doesn't exist is no error") { trial in
        try await trial.delete("none")
        try await trial.delete("none/below")
        let errors = try await trial.store.delete([trial.key("none")])
        try trial.expect(errors.count == 1 && errors[0] == nil, "batch: \(errors)")
    },
    ConformanceCase("a delete of a version") { trial in
        guard let old = try await trial.put("a", [1]).etag, let new = try await trial.put("a", [2]).etag else {
            throw ConformanceFailure("no etag")
        }
        try await trial.expectFailure(.conditionFailed, during: "delete of a former version") {
            try await trial.delete("a", .matches(old))
        }
        try trial.expectBytes(try await trial.get("a"), [2], "content")
        try await trial.delete("a", .matches(new))
        try await trial.expectFailure(.notFound, during: "head") { _ = try await trial.head("a") }
    },
    ConformanceCase("a batch is deleted") { trial in
        let names = (0..<25).map { ByteString("d/\($0) & <\($0)>") }
        for name in names { try await trial.put(name, [1]) }
        let keys = names.dropFirst().map { trial.key($0) } + [trial.key("none")]
        let errors = try await trial.store.delete(keys)
        try trial.expectEqual(errors.count, keys.count, "number of results")
        try trial.expect(errors.allSatisfy { $0 == nil }, "results: \(errors)")
        try trial.expectEqual(try await trial.list().objects, [names[0]], "listing")
    },
    ConformanceCase("an empty batch") { trial in
        try trial.expectEqual(try await trial.store.delete([]).count, 0, "number of results")
    },
]
