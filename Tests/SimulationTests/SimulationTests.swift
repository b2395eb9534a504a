import Foundation
import Testing

/// The simulation is a program of its own: it takes over its process's clock, jobs and disk. docs/SIMULATION.md.
/// `PAIL_SIMULATION_SEEDS` and `PAIL_SIMULATION_FIRST` run other seeds.
@Suite(.serialized) struct SimulationTests {
    private static let environment = ProcessInfo.processInfo.environment

    @Test func noPromiseIsBroken() throws {
        let seeds = Self.environment["PAIL_SIMULATION_SEEDS"] ?? "150"
        let first = Self.environment["PAIL_SIMULATION_FIRST"] ?? "1"
        let minutes = Self.environment["PAIL_SIMULATION_SEEDS"] == nil ? "0.35" : "600"
        let outcome = try Self.run(["--first", first, "--seeds", seeds, "--minutes", minutes, "--jobs", "2"])
        #expect(outcome.code == 0, "\(outcome.text)")
        let runs = outcome.text.split(separator: "\n").compactMap { Int($0.prefix { $0.isNumber }) }.reduce(0, +)
        #expect(runs > 10, "hardly anything was run: \(outcome.text)")
    }

    @Test(arguments: [3, 17, 40]) func aSeedIsTheSameEachTime(seed: Int) throws {
        let first = try Self.run(["--seed", "\(seed)"])
        let second = try Self.run(["--seed", "\(seed)"])
        #expect(first.code == 0)
        #expect(first.text.contains("digest"))
        #expect(first.text == second.text)
    }

    /// Known bugs, each put into the seam where it would show. A simulation that misses one checks less than it says.
    @Test(
        arguments: [
            "skippedContentSync", "skippedMapSync", "skippedDirectorySync", "skippedLogSync", "forgottenWrite",
            "forgottenCommit", "forgottenCondition", "halfUpload", "forgottenName",
        ])
    func aPlantedBugIsFound(_ bug: String) throws {
        let outcome = try Self.run(["--plant", bug, "--seeds", "3000", "--minutes", "2", "--shrink", "0"])
        #expect(outcome.code == 1, "\(bug) was not found: \(outcome.text)")
        #expect(outcome.text.contains("FAILED: seed"))
        #expect(!outcome.text.contains("crashed"))
    }

    /// Runs the program that was built beside these tests.
    private static func run(_ arguments: [String]) throws -> (code: Int32, text: String) {
        let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let process = Process()
        process.executableURL = tests.deletingLastPathComponent().appendingPathComponent("simulation")
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
