import Configuration
import Mounting

/// `pail cache list|verify|export|remove`.
enum CacheCommand {
    static func run(_ arguments: [String]) throws -> ExitCode {
        let rest = Array(arguments.dropFirst())
        switch arguments.first {
        case "list": return try list(rest)
        case "verify": return try verify(rest)
        case "export": return try export(rest)
        case "remove": return try remove(rest)
        case let other:
            let hint = other.map { Suggestion.hint(for: $0, among: ["list", "verify", "export", "remove"]) } ?? ""
            throw ConfigurationError("pail cache list, verify, export or remove\(hint); see pail help cache")
        }
    }

    private static func path(_ operand: String) -> String {
        Path.absolute(operand, from: ProcessEnvironment.workingDirectory)
    }

    private static func cache(_ operand: String) throws(MountFailure) -> CacheDirectory {
        try CacheCatalog.find(operand, path: path(operand))
    }

    private static func list(_ arguments: [String]) throws -> ExitCode {
        let given = try ArgumentScanner(arguments, knowing: [.init("json")])
        guard given.operands.count <= 1 else { throw ConfigurationError("name one cache or bucket, or none for all") }
        var found = try CacheCatalog.all()
        if let operand = given.operands.first {
            found = try CacheCatalog.matching(operand, path: path(operand))
            guard !found.isEmpty else {
                throw MountFailure(.cache, "\(operand) is no cache and no bucket with one; pail cache list shows all")
            }
        }
        if given.has("json") {
            Terminal.print(JSON.array(found.map { JSON.object($0.fields) }))
        } else {
            Terminal.print(found.isEmpty ? "there is no cache" : found.map(text).joined(separator: "\n\n"))
        }
        return .ok
    }

    private static func text(_ summary: CacheSummary) -> String { FieldLines.text(summary.fields) }

    private static func verify(_ arguments: [String]) throws -> ExitCode {
        let given = try ArgumentScanner(arguments, knowing: [])
        guard given.operands.count == 1 else { throw ConfigurationError("name one cache: pail cache verify CACHE") }
        let result = try CacheVerification(try cache(given.operands[0]))
        for fault in result.faults { Terminal.print("fail  \(fault)") }
        if result.faults.isEmpty {
            Terminal.print("ok    \(result.files) files, \(result.dirtyFiles) with changes")
        }
        return result.faults.isEmpty ? .ok : .failed
    }

    private static func export(_ arguments: [String]) throws -> ExitCode {
        let given = try ArgumentScanner(arguments, knowing: [])
        guard given.operands.count == 2 else {
            throw ConfigurationError("name a cache and a new directory: pail cache export CACHE DIR")
        }
        let destination = path(given.operands[1])
        let result = try CacheExport(try cache(given.operands[0]), to: destination)
        Terminal.print(
            "\(result.whole) files whole, \(result.partial) in part, \(result.failed) failed; see \(destination)/report"
        )
        return result.failed == 0 ? .ok : .failed
    }

    private static func remove(_ arguments: [String]) throws -> ExitCode {
        let given = try ArgumentScanner(arguments, knowing: [.init("discard")])
        guard given.operands.count == 1 else { throw ConfigurationError("name one cache: pail cache remove CACHE") }
        try CacheRemoval.remove(try cache(given.operands[0]), discarding: given.has("discard"))
        return .ok
    }
}

extension CacheSummary {
    fileprivate var fields: [(name: String, value: StatusValue)] {
        var fields: [(name: String, value: StatusValue)] = [("cache", .text(path)), ("bucket", .text(bucket))]
        if let endpoint { fields.append(("endpoint", .text(endpoint))) }
        fields += [
            ("state", .text(state.text)), ("cachedBytes", .number(cachedBytes)),
            ("dirtyFiles", .number(Int64(dirtyFiles))), ("dirtyBytes", .number(dirtyBytes)),
            ("waiting", .number(Int64(waiting))),
        ]
        if lostFiles > 0 { fields.append(("lostFiles", .number(Int64(lostFiles)))) }
        return fields
    }
}
