import Configuration
import Mounting

/// `pail status`.
enum StatusCommand {
    private static let answerMilliseconds: Int64 = 5_000

    static func run(_ arguments: [String]) throws -> ExitCode {
        let given = try ArgumentScanner(arguments, knowing: [.init("json")])
        guard given.operands.count <= 1 else { throw ConfigurationError("name one mount point, or none for all") }
        var entries = try MountRegistry().entries()
        if let operand = given.operands.first {
            let path = Path.absolute(operand, from: ProcessEnvironment.workingDirectory)
            guard let entry = try Mounts.entry(at: path) else {
                throw MountFailure(.mountPoint, "\(path) is no mount of pail's; pail status lists them")
            }
            entries = [entry]
        }
        let reports = entries.map(report)
        if given.has("json") {
            Terminal.print(JSON.array(reports.map { JSON.object($0.fields) }))
        } else if reports.isEmpty {
            Terminal.print("nothing is mounted")
        } else {
            Terminal.print(reports.map { FieldLines.text($0.fields) }.joined(separator: "\n\n"))
        }
        return reports.allSatisfy(\.answers) ? .ok : .failed
    }

    private struct Report {
        var fields: [(name: String, value: StatusValue)]
        var answers: Bool
    }

    private static func report(_ entry: MountRegistry.Entry) -> Report {
        var fields: [(name: String, value: StatusValue)] = []
        let client = ControlClient(cacheDirectory: entry.cacheDirectory)
        let failure = client.ask(.status, silenceMilliseconds: answerMilliseconds) { reply in
            if case .field(let name, let value) = reply { fields.append((name, value)) }
        }
        guard let failure else { return Report(fields: fields, answers: true) }
        return Report(
            fields: [
                ("mountPoint", .text(entry.mountPoint)), ("pid", .number(Int64(entry.process))),
                ("cacheDirectory", .text(entry.cacheDirectory)), ("state", .text("not answering: \(failure.message)")),
            ], answers: false)
    }
}

/// Names and values for people: one line a value, bytes as people read them.
enum FieldLines {
    static func text(_ fields: [(name: String, value: StatusValue)]) -> String {
        let width = fields.map(\.name.count).max() ?? 0
        let lines = fields.map { name, value in
            let shown: String
            switch value {
            case .text(let text): shown = text
            case .number(let number): shown = name.hasSuffix("Bytes") ? Quantity.describe(bytes: number) : "\(number)"
            }
            return name + String(repeating: " ", count: width - name.count + 2) + shown
        }
        return lines.joined(separator: "\n")
    }
}

/// JSON (RFC 8259) as far as status needs it.
enum JSON {
    static func array(_ elements: [String]) -> String { "[" + elements.joined(separator: ",\n ") + "]" }

    static func object(_ fields: [(name: String, value: StatusValue)]) -> String {
        let members = fields.map { name, value in
            switch value {
            case .text(let text): "\(string(name)): \(string(text))"
            case .number(let number): "\(string(name)): \(number)"
            }
        }
        return "{" + members.joined(separator: ", ") + "}"
    }

    private static func string(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 32:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
