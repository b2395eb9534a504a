import Configuration
import Primitives
import Telemetry

/// What one check found: one line for people.
public struct Finding: Sendable, Equatable {
    public enum Grade: String, Sendable {
        case ok
        /// It works, but something is worse than it could be.
        case warn
        /// The mount would not work.
        case fail
    }

    public var grade: Grade
    public var subject: String
    public var message: String
    /// What to do; empty if there is nothing.
    public var remedy: String

    init(_ grade: Grade, _ subject: String, _ message: String, remedy: String = "") {
        self.grade = grade
        self.subject = subject
        self.message = message
        self.remedy = remedy
    }

    public var line: String {
        let text = "\(subject): \(message)".map { $0.isNewline ? " " : String($0) }.joined()
        return grade.rawValue + String(repeating: " ", count: 6 - grade.rawValue.count) + text
            + (remedy.isEmpty ? "" : "; \(remedy)")
    }
}

/// Checks whether a bucket can be mounted on this machine.
public struct Doctor: Sendable {
    let configuration: MountConfiguration

    public init(_ configuration: MountConfiguration) { self.configuration = configuration }

    /// Makes every check that the ones before leave a sense to, and passes on what it finds.
    public func examine(_ report: (Finding) -> Void) async {
        for finding in machine() { report(finding) }
        var reachable = true
        for finding in await network() {
            report(finding)
            if finding.grade == .fail { reachable = false }
        }
        guard reachable else { return report(Finding(.warn, "bucket", "not asked: the service can't be reached")) }
        let backend: Backend
        do {
            backend = try Backend(configuration, cache: nil, log: Log(level: .error, sink: .standardError))
        } catch {
            return report(Finding(.fail, "bucket", error.message))
        }
        await BucketExamination(configuration: configuration, backend: backend).run(report)
        backend.shutdown()
    }
}
