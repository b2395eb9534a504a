import Foundation

/// A directory for one test, removed with it.
final class Directory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/pail-database-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var database: String { path + "/db" }

    /// The files as a killed process would leave them now.
    func copy() throws -> Directory {
        let copy = try Directory()
        for name in ["db", "db-wal", "db-redo"] where FileManager.default.fileExists(atPath: path + "/" + name) {
            // Read by another process: to close the file in this one would drop SQLite's locks.
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/cp")
            process.arguments = [path + "/" + name, copy.path + "/" + name]
            try process.run()
            process.waitUntilExit()
        }
        return copy
    }

    func size(_ name: String) -> Int {
        (try? FileManager.default.attributesOfItem(atPath: path + "/" + name)[.size] as? Int) ?? 0
    }
}
