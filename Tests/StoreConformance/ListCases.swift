import ObjectStore
import Primitives

let listCases: [ConformanceCase] = [
    ConformanceCase("a listing describes its objects") { trial in
        let written = try await trial.put("d/a", content(777), metadata: ["k": "v"])
        let page = try await trial.listInfo("d/")
        try trial.expectEqual(page.objects.count, 1, "number of objects")
        let info = page.objects[0]
        try trial.expectEqual(info.key, trial.key("d/a"), "key")
        try trial.expectEqual(info.sizeBytes, 777, "size")
        if let etag = info.etag { try trial.expectEqual(etag, written.etag, "etag") }
        let head = try await trial.head("d/a")
        try trial.expectEqual(info.lastModified.seconds, head.lastModified.seconds, "last modified")
    },
    ConformanceCase("a listing of nothing") { trial in
        let page = try await trial.listInfo("none/", delimited: true)
        try trial.expect(page.objects.isEmpty && page.prefixes.isEmpty, "\(page)")
    },
    ConformanceCase("keys are listed in the order of their bytes") { trial in
        let names: [ByteString] = [
            "B", "a!", "a-", "a.txt", "a/b", "a/b.c", "a/c/d", "a0", "b", "é", "😀", "dir-1/x", "dir/x", "dir0/x",
        ]
        for name in names { try await trial.put(name, [1]) }
        for limit in [1000, 2] {
            try trial.expectEqual(try await trial.list(limit: limit).objects, names.sorted(), "by \(limit)")
        }
    },
    ConformanceCase("pages of 1, 7 and 1000") { trial in
        let names = (0..<23).map { ByteString("k/\($0)/x") } + (0..<5).map { ByteString("m\($0)") }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for name in names { group.addTask { try await trial.put(name, [1]) } }
            try await group.waitForAll()
        }
        for limit in [1, 7, 1000] {
            try trial.expectEqual(try await trial.list(limit: limit).objects, names.sorted(), "by \(limit)")
            let rolled = try await trial.list(delimited: true, limit: limit)
            try trial.expectEqual(rolled.prefixes, ["k/"], "prefixes by \(limit)")
            try trial.expectEqual(rolled.objects, Array(names.suffix(5)), "objects by \(limit)")
            let below = try await trial.list("k/", delimited: true, limit: limit)
            try trial.expectEqual(below.prefixes, (0..<23).map { ByteString("k/\($0)/") }.sorted(), "below by \(limit)")
        }
    },
    ConformanceCase("a delimiter rolls up") { trial in
        for name in ["a", "b/c", "b/d/e", "b/d/f", "b.x", "c/d/e/f"] as [ByteString] { try await trial.put(name, [1]) }
        let top = try await trial.list(delimited: true)
        try trial.expectEqual(top.objects, ["a", "b.x"], "objects")
        try trial.expectEqual(top.prefixes, ["b/", "c/"], "prefixes")
        let below = try await trial.list("b/", delimited: true)
        try trial.expectEqual(below.objects, ["b/c"], "objects in b/")
        try trial.expectEqual(below.prefixes, ["b/d/"], "prefixes in b/")
        let deep = try await trial.list("c/d/e/", delimited: true)
        try trial.expectEqual(deep.objects, ["c/d/e/f"], "objects in c/d/e/")
    },
    ConformanceCase("a prefix need not end with a slash") { trial in
        for name in ["ab", "abc", "abd/e", "b", "a"] as [ByteString] { try await trial.put(name, [1]) }
        try trial.expectEqual(try await trial.list("ab").objects, ["ab", "abc", "abd/e"], "all of ab")
        let rolled = try await trial.list("ab", delimited: true)
        try trial.expectEqual(rolled.objects, ["ab", "abc"], "objects of ab")
        try trial.expectEqual(rolled.prefixes, ["abd/"], "prefixes of ab")
        try trial.expectEqual(try await trial.list("abd/e").objects, ["abd/e"], "exactly one")
        try trial.expectEqual(try await trial.list("abd/e/").objects, [], "below an object")
        try trial.expectEqual(try await trial.list("b", delimited: true, limit: 1).objects, ["b"], "one key")
    },
    ConformanceCase("pages go on although keys come and go between") { trial in
        for number in 10..<20 { try await trial.put(ByteString("k\(number)"), [1]) }
        let first = try await trial.store.list(prefix: trial.prefix, delimited: false, from: nil, limit: 3)
        try await trial.delete("k12")
        try await trial.put("k00", [1])
        var rest: [ByteString] = []
        var next = first.next
        while let token = next, rest.count < 100 {
            let page = try await trial.store.list(prefix: trial.prefix, delimited: false, from: .page(token), limit: 3)
            rest += page.objects.map { $0.key.dropFirst(trial.prefix.count) }
            next = page.next
        }
        try trial.expectEqual(rest, (13..<20).map { ByteString("k\($0)") }, "the pages after the first")
    },
    ConformanceCase("a listing begins after a key") { trial in
        let objects = ["a", "b-1", "b0", "c", "é", "😀"] as [ByteString]
        let prefixes = ["b.d/", "b/"] as [ByteString]
        for name in objects + ["b.d/x", "b/c", "b/d"] { try await trial.put(name, [1]) }
        do {
            for after in ["A", "a", "b1", "c", "d", "zz~", "ê", "\u{4E00}", "é", "😀x"] as [ByteString] {
                for limit in [1, 2, 1000] {
                    let rolled = try await trial.list(delimited: true, after: after, limit: limit)
                    let what = "after \(after) by \(limit)"
                    try trial.expectEqual(rolled.objects, objects.filter { $0 > after }, "objects \(what)")
                    try trial.expectEqual(rolled.prefixes.sorted(), prefixes.filter { $0 > after }, "prefixes \(what)")
                }
            }
            let below = try await trial.list("b/", delimited: true, after: "b/c")
            try trial.expectEqual(below.objects, ["b/d"], "in b/ after b/c")
        } catch let error as StoreError where error.kind == .unsupported {}
    },
    ConformanceCase("an empty directory's marker") { trial in
        try await trial.put("d/", [], metadata: ["mode": "16877"], contentType: "application/x-directory")
        try trial.expectEqual(try await trial.head("d/").metadata, ["mode": "16877"], "metadata of the marker")
        try trial.expectEqual(try await trial.head("d/").sizeBytes, 0, "size of the marker")
        try trial.expectEqual(try await trial.list().objects, ["d/"], "listing")
        try trial.expectEqual(try await trial.list(delimited: true).prefixes, ["d/"], "prefixes")
        try trial.expectEqual(try await trial.list("d/", delimited: true).objects, ["d/"], "inside")
        try await trial.put("d/x", [1])
        try trial.expectEqual(try await trial.head("d/").metadata, ["mode": "16877"], "metadata with a file inside")
        try trial.expectEqual(try await trial.list("d/").objects, ["d/", "d/x"], "both")
        try await trial.copy("d/", to: "d/", metadata: ["mode": "16832"])
        try trial.expectEqual(try await trial.head("d/").metadata, ["mode": "16832"], "changed metadata")
        try await trial.delete("d/x")
        try trial.expectEqual(try await trial.list().objects, ["d/"], "the marker alone again")
        try await trial.delete("d/")
        try trial.expectEqual(try await trial.list().objects, [], "after deleting the marker")
    },
    ConformanceCase("a directory's marker deleted before its files") { trial in
        try await trial.put("d/", [], metadata: ["mode": "16877"])
        try await trial.put("d/x", [1])
        try await trial.delete("d/")
        try trial.expectEqual(try await trial.list().objects, ["d/x"], "the file alone")
        try trial.expectBytes(try await trial.get("d/x"), [1], "the file")
    },
    ConformanceCase("an object, a marker and objects below at once", if: \.keepsDirectoryMarkers) { trial in
        try await trial.put("a", [1])
        try await trial.put("a/", [], metadata: ["mode": "16877"])
        try await trial.put("a/b", [2])
        try trial.expectEqual(try await trial.list().objects, ["a", "a/", "a/b"], "listing")
        let rolled = try await trial.list(delimited: true)
        try trial.expectEqual(rolled.objects, ["a"], "objects")
        try trial.expectEqual(rolled.prefixes, ["a/"], "prefixes")
        try trial.expectEqual(try await trial.head("a/").metadata, ["mode": "16877"], "metadata of the marker")
        try await trial.delete("a")
        try trial.expectEqual(try await trial.list().objects, ["a/", "a/b"], "after deleting the object")
    },
]
