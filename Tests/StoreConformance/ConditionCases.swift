import ObjectStore
import Primitives

let conditionCases: [ConformanceCase] = [
    ConformanceCase("a write if absent", if: \.writesIfAbsent) { trial in
        try await trial.put("a", [1], condition: .absent)
        try await trial.expectFailure(.conditionFailed, during: "write over an object if absent") {
            try await trial.put("a", [2], condition: .absent)
        }
        try trial.expectBytes(try await trial.get("a"), [1], "the first version")
        try await trial.delete("a")
        try await trial.put("a", [3], condition: .absent)
        try trial.expectBytes(try await trial.get("a"), [3], "the version after the delete")
    },
    ConformanceCase("a write if it matches", if: \.writesIfMatch) { trial in
        guard let first = try await trial.put("a", [1]).etag else { throw ConformanceFailure("no etag") }
        guard let second = try await trial.put("a", [2], condition: .matches(first)).etag else {
            throw ConformanceFailure("no etag")
        }
        try await trial.expectFailure(.conditionFailed, during: "write over another version") {
            try await trial.put("a", [3], condition: .matches(first))
        }
        try trial.expectBytes(try await trial.get("a"), [2], "the second version")
        try trial.expectEqual(try await trial.head("a").etag, second, "etag")
    },
    ConformanceCase("a write if it matches what is gone", if: \.writesIfMatch) { trial in
        guard let etag = try await trial.put("a", [1]).etag else { throw ConformanceFailure("no etag") }
        try await trial.delete("a")
        try await trial.expectFailure(.conditionFailed, during: "write over what is gone") {
            try await trial.put("a", [2], condition: .matches(etag))
        }
        try trial.expectEqual(try await trial.list().objects, [], "listing")
    },
    ConformanceCase("of eight that write if absent one wins", if: \.writesIfAbsent) { trial in
        try await race(trial, condition: .absent)
    },
    ConformanceCase("of eight that write if it matches one wins", if: \.writesIfMatch) { trial in
        guard let etag = try await trial.put("a", [0]).etag else { throw ConformanceFailure("no etag") }
        try await race(trial, condition: .matches(etag))
    },
    ConformanceCase("of eight that just write one is there, whole") { trial in
        let bodies = (0..<8).map { content(70_000 + $0, seed: UInt64($0)) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for body in bodies { group.addTask { try await trial.put("a", body) } }
            try await group.waitForAll()
        }
        let present = try await trial.get("a")
        try trial.expect(bodies.contains(present), "the object is a mixture of \(present.count) bytes")
    },
    ConformanceCase("readers of a key that is overwritten see whole versions") { trial in
        let bodies = (0..<6).map { content(50_000, seed: UInt64($0)) }
        try await trial.put("a", bodies[0])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { for body in bodies { try await trial.put("a", body) } }
            for _ in 0..<3 {
                group.addTask {
                    for _ in 0..<6 {
                        let present = try await trial.get("a")
                        try trial.expect(bodies.contains(present), "a reader saw a mixture")
                    }
                }
            }
            try await group.waitForAll()
        }
    },
]

/// Eight writers at once under one condition: one succeeds, and its content is what is there.
private func race(_ trial: Trial, condition: Condition) async throws {
    let winners = try await withThrowingTaskGroup(of: UInt8?.self) { group in
        for writer in UInt8(1)...8 {
            group.addTask {
                do {
                    try await trial.put("a", [UInt8](repeating: writer, count: 1000), condition: condition)
                    return writer
                } catch let error as StoreError where error.kind == .conditionFailed {
                    return nil
                }
            }
        }
        var winners: [UInt8] = []
        for try await winner in group { if let winner { winners.append(winner) } }
        return winners
    }
    try trial.expectEqual(winners.count, 1, "number of winners")
    let present = try await trial.get("a")
    try trial.expectBytes(present, [UInt8](repeating: winners[0], count: 1000), "the winner's content")
}
