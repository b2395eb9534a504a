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

    /// The directory's identity, which must be that of this bucket; a new one for a directory that has none. Nothing is
    /// written: until the bucket was reached, the directory stays free for another.
    static func find(
        _ directory: CacheDirectory, for configuration: MountConfiguration
    ) throws(MountFailure) -> CacheIdentity {
        let bucket = configuration.bucket?.description ?? ""
        let endpoint = Backend.givenEndpoint(configuration) ?? "-"
        if let text = SmallFile.read(directory.identityFile) {
            let found = try parse(text, directory)
            guard found.bucket == bucket, found.endpoint == endpoint else {
                let whose = found.endpoint == "-" ? found.bucket : "\(found.bucket) at \(found.endpoint)"
                throw MountFailure(
                    .cache, "cache directory \(directory.path) is that of \(whose): name another one with --cache-dir")
            }
            return found
        }
        return CacheIdentity(bucket: bucket, endpoint: endpoint, id: try random(directory))
    }

    /// Makes the directory this bucket's. Before anything of the bucket is put there.
    func claim(_ directory: CacheDirectory) throws(MountFailure) {
        if access(directory.identityFile, F_OK) == 0 { return }
        do {
            try SmallFile.write(text, to: directory.identityFile)
        } catch {
            throw directory.failure("can't be written", error)
        }
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
