import FileSystem
import Glibc
import ObjectStore
import Primitives
import Tree

/// Names in the top directory that somebody else writes to as well, right in the bucket. What the mount shows of them
/// can't be foretold; that nothing of either is lost can.
struct SharedFiles {
    static let names = ["r0", "r1", "r2"]

    /// The last content that the mount acknowledged for each.
    private var acknowledged: [String: [UInt8]] = [:]

    static func isShared(_ path: String) -> Bool { names.contains { path == $0 || path.hasPrefix($0 + ".conflict-") } }

    mutating func acknowledge(_ name: String, _ bytes: [UInt8]) { acknowledged[name] = bytes }
    mutating func giveUp(_ name: String) { acknowledged[name] = nil }
    /// Nothing of it was synced.
    mutating func forget(_ crash: Crash) { if crash == .powerLoss { acknowledged = [:] } }

    func checkAtEnd(_ world: World) throws {
        for (name, bytes) in acknowledged.sorted(by: { $0.key < $1.key }) where !world.witness.hasHad(bytes) {
            throw Broken("the \(bytes.count) bytes written to \(name) never came to the bucket")
        }
    }
}

extension Run {
    /// Writes a shared file whole. Each of its calls may meet what somebody else has done.
    func writeShared(_ name: String, _ bytes: [UInt8]) throws {
        guard let life else { return }
        shared.giveUp(name)
        let key = ByteString(name)
        guard
            let (entry, opened) = try attempt(
                name,
                { () throws(Failure) in
                    try life.fs.create(.root, key, mode: 0o644, flags: O_RDWR | O_TRUNC, caller)
                })
        else { return }
        forget(entry)
        world.witness.approve(bytes, at: key)
        let count = try attempt(name) { () throws(Failure) in
            let result = bytes.withUnsafeBytes { buffer -> Result<Int, Failure> in
                do throws(Failure) {
                    return .success(try life.fs.write(opened.handle, offset: 0, from: buffer, killPrivileges: false))
                } catch { return .failure(error) }
            }
            return try result.get()
        }
        // If somebody replaced the file since it was opened, this one has no name any more.
        let found = try? life.tree.find(.root, key)
        if count != nil, found?.node.id == entry.attributes.node { shared.acknowledge(name, bytes) }
        try attempt(name) { () throws(Failure) in
            try life.fs.flush(opened.handle, lockOwner: 0)
            try life.fs.release(opened.handle)
        }
    }

    func readShared(_ name: String) throws {
        guard let life else { return }
        if let entry = try attempt(name, { () throws(Failure) in try life.fs.lookup(.root, ByteString(name)) }) {
            forget(entry)
        }
    }

    func removeShared(_ name: String) throws {
        guard let life else { return }
        // Also if it dies meanwhile: then nobody knows.
        shared.giveUp(name)
        try attempt(name) { () throws(Failure) in try life.fs.unlink(.root, ByteString(name), caller) }
    }

    /// nil if it failed, as it may. The version on which it works counts as shown.
    @discardableResult
    private func attempt<Answer>(_ name: String, _ call: () throws(Failure) -> Answer) throws -> Answer? {
        for _ in 0..<Run.maximumRounds {
            let version = life.flatMap { heldVersion(name, $0) }
            let result = outcome(call)
            if world.disk.isDead, let version { world.witness.show(version.key, version.etag) }
            try look()
            switch result {
            case .success(let answer):
                for version in [version, life.flatMap { heldVersion(name, $0) }].compactMap({ $0 }) {
                    world.witness.show(version.key, version.etag)
                }
                world.trace("  \(name): done")
                return answer
            case .failure(.errno(let error)):
                world.trace("  \(name): \(error)")
                return nil
            case .failure(.need(let need)):
                let procedure = Procedure([])
                procedure.begin(need, life!)
                let disk = world.disk
                try world.scheduler.run(name) { procedure.need!.isOver || disk.isDead }
                try look()
                if procedure.takeError() != nil { return nil }
            }
        }
        throw Broken("\(name) asks for ever")
    }

    private func heldVersion(_ name: String, _ life: Life) -> Witness.Version? {
        guard let found = try? life.tree.find(.root, ByteString(name)),
            let held = try? life.tree.held(by: found.name.id)
        else { return nil }
        return Witness.Version(key: held.key, etag: held.etag)
    }
}
