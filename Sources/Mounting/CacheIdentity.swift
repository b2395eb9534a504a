import Configuration
import Glibc
import Primitives

/// Whose cache a directory is: a cache must never be used for another bucket.
struct CacheIdentity: Sendable, Equatable {
    private static let format = 1

    var bucket: String
    var endpoint: String
    /// Random, 32 hexadecimal digits: tells this cache's changes from those of other mounts.
    var id: String

    /// Reads the directory's identity, or gives it one.
    static func establish(
        _ directory: CacheDirectory, for configuration: MountConfiguration
    ) throws(MountFailure) -> CacheIdentity {
        let bucket = configuration.bucket?.description ?? ""
        let endpoint = configuration.endpoint ?? "-"
        if let text = SmallFile.read(directory.identityFile) {
            let found = try parse(text, directory)
            guard found.bucket == bucket, found.endpoint == endpoint else {
                let whose = found.endpoint == "-" ? found.bucket : "\(found.bucket) at \(found.endpoint)"
                throw MountFailure(
                    .cache, "cache directory \(directory.path) is that of \(whose): name another one with --cache-dir")
            }
            return found
        }
        let identity = CacheIdentity(bucket: bucket, endpoint: endpoint, id: try random(directory))
        do {
            try SmallFile.write(identity.text, to: directory.identityFile)
        } catch {
            throw directory.failure("can't be written", error)
        }
        return identity
    }

    private var text: String {
        "format \(Self.format)\nbucket \(LineText.escape(bucket))\nendpoint \(LineText.escape(endpoint))\nid \(id)\n"
    }

    private static func parse(_ text: String, _ directory: CacheDirectory) throws(MountFailure) -> CacheIdentity {
        guard let format = SmallFile.field("format", in: text), let bucket = SmallFile.field("bucket", in: text),
            let endpoint = SmallFile.field("endpoint", in: text), let id = SmallFile.field("id", in: text)
        else {
            throw MountFailure(.cache, "\(directory.identityFile) can't be understood: name another --cache-dir")
        }
        guard format == "\(Self.format)" else {
            throw MountFailure(
                .cache, "cache directory \(directory.path) was made by another version of pail: use that version")
        }
        return CacheIdentity(bucket: bucket, endpoint: endpoint, id: id)
    }

    private static func random(_ directory: CacheDirectory) throws(MountFailure) -> String {
        var bytes = [UInt8](repeating: 0, count: 16)
        guard getentropy(&bytes, bytes.count) == 0 else { throw directory.failure("can't be named", .current) }
        return bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
}
