import Configuration
import Glibc
import Primitives

/// Whose cache a directory is: a cache must never be used for another bucket.
///
/// Lines of a name and a value. The first is `format N` in every version, the last `check` and FNV-1a of all before it.
struct CacheIdentity: Sendable, Equatable {
    /// What a directory says of itself.
    enum Claim: Sendable, Equatable {
        case none
        case sound(CacheIdentity)
        /// It was made by a version of Pail with another format.
        case otherFormat(Int)
        case damaged
    }

    var bucket: String
    /// `-` where none was given.
    var endpoint: String
    /// Random, 32 hexadecimal digits: tells this cache's changes from those of other mounts.
    var id: String

    /// The directory's identity, which must be that of this bucket; a new one for a directory that has none, or none that
    /// can be read. Nothing is written: until the bucket was reached, the directory stays free for another.
    static func find(
        _ directory: CacheDirectory, for configuration: MountConfiguration
    ) throws(MountFailure) -> CacheIdentity {
        let bucket = configuration.bucket?.description ?? ""
        let endpoint = Backend.givenEndpoint(configuration) ?? "-"
        switch read(directory) {
        case .sound(let found):
            guard found.bucket == bucket, found.endpoint == endpoint else {
                throw MountFailure(
                    .cache,
                    "cache directory \(directory.path) is that of \(found.whose): name another one with --cache-dir"
                )
            }
            return found
        case .otherFormat(let format): throw otherFormat(format, directory)
        case .none, .damaged: return CacheIdentity(bucket: bucket, endpoint: endpoint, id: try random(directory))
        }
    }

    static func read(_ directory: CacheDirectory) -> Claim {
        guard let text = SmallFile.read(directory.identityFile) else {
            return access(directory.identityFile, F_OK) == 0 ? .damaged : .none
        }
        let format = SmallFile.field("format", in: text).flatMap { Int($0) }
        // Format 1 had no check.
        if format == 1, SmallFile.field("check", in: text) == nil { return .otherFormat(1) }
        let fields = text.dropLast().lastIndex(of: "\n").map { text[...$0] } ?? ""
        guard let format, text == fields + Self.check(fields) else { return .damaged }
        guard format == CacheFormat.current else { return .otherFormat(format) }
        guard let bucket = SmallFile.field("bucket", in: text), let endpoint = SmallFile.field("endpoint", in: text),
            let id = SmallFile.field("id", in: text)
        else { return .damaged }
        return .sound(CacheIdentity(bucket: bucket, endpoint: endpoint, id: id))
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

    /// For people.
    var whose: String { endpoint == "-" ? bucket : "\(bucket) at \(endpoint)" }

    static func otherFormat(_ format: Int, _ directory: CacheDirectory) -> MountFailure {
        let known = "(format \(format), this one knows \(CacheFormat.current))"
        let advice =
            format > CacheFormat.current
            ? "use that version" : "unmount it once with that version, so that everything is uploaded, then remove it"
        return MountFailure(
            .cache,
            "cache directory \(directory.path) was written by \(format > CacheFormat.current ? "a newer" : "an older") "
                + "Pail \(known) and is left as it is: \(advice), or name another one with --cache-dir")
    }

    private var text: String {
        let fields =
            "format \(CacheFormat.current)\nbucket \(LineText.escape(bucket))\nendpoint \(LineText.escape(endpoint))\n"
            + "id \(id)\n"
        return fields + Self.check(fields[...])
    }

    private static func check(_ text: Substring) -> String { "check \(ByteString(String(text)).fnv1aHexadecimal)\n" }

    private static func random(_ directory: CacheDirectory) throws(MountFailure) -> String {
        var bytes = [UInt8](repeating: 0, count: 16)
        guard getentropy(&bytes, bytes.count) == 0 else { throw directory.failure("can't be named", .current) }
        return bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
}
