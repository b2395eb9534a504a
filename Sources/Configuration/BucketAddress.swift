import Primitives

/// Which bucket, or which part of one.
public enum BucketAddress: Sendable, Equatable, CustomStringConvertible {
    /// A directory as a bucket: its absolute path.
    case local(path: String)
    /// A bucket of a service that speaks S3; the prefix is empty or ends with `/`.
    case s3(bucket: String, prefix: String)

    /// As the user would write it.
    public var description: String {
        switch self {
        case .local(let path): "file://\(path)"
        case .s3(let bucket, let prefix): "s3://\(bucket)\(prefix.isEmpty ? "" : "/\(prefix.dropLast())")"
        }
    }

    static let forms = "write s3://BUCKET[/PREFIX], or /PATH of a local directory"
    private static let planned = ["gs", "gcs", "az", "azure", "azblob", "ftp", "ftps", "sftp", "b2", "webdav"]

    /// `s3://bucket[/prefix]`, `file:///path`, `local:///path`, an absolute path, or a relative one that begins with
    /// `.` and is taken from `directory`.
    public static func parse(_ text: String, directory: String) throws(ConfigurationError) -> BucketAddress {
        if text.hasPrefix("/") || text.hasPrefix("./") || text.hasPrefix("../") || text == "." || text == ".." {
            return .local(path: Path.absolute(text, from: directory))
        }
        guard let colon = text.firstRange(of: "://") else {
            throw ConfigurationError("\(text) is not a bucket address: \(forms)")
        }
        let scheme = text[..<colon.lowerBound].lowercased()
        let rest = String(text[colon.upperBound...])
        switch scheme {
        case "s3": return try s3(rest, text)
        case "file", "local":
            guard rest.hasPrefix("/") else {
                throw ConfigurationError("\(text): the path must be absolute: write \(scheme):///PATH")
            }
            return .local(path: Path.absolute(rest, from: directory))
        case _ where planned.contains(scheme):
            throw ConfigurationError("\(text): \(scheme):// is not supported yet; \(forms)")
        case "http", "https":
            throw ConfigurationError("\(text) is an endpoint: \(forms), and give the service's address as endpoint")
        default: throw ConfigurationError("\(text): unknown kind of bucket \(scheme)://; \(forms)")
        }
    }

    private static func s3(_ rest: String, _ text: String) throws(ConfigurationError) -> BucketAddress {
        let parts = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let bucket = String(parts[0])
        guard !bucket.isEmpty else { throw ConfigurationError("\(text): the bucket's name is missing; \(forms)") }
        let allowed = bucket.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
        guard allowed, bucket.utf8.count <= 255, bucket != ".", bucket != ".." else {
            throw ConfigurationError("\(text): \(bucket) can't be a bucket's name: letters, digits, . - _ only")
        }
        guard parts.count == 2 else { return .s3(bucket: bucket, prefix: "") }
        var prefix = parts[1]
        while prefix.hasSuffix("/") { prefix.removeLast() }
        guard !prefix.isEmpty else { return .s3(bucket: bucket, prefix: "") }
        if prefix.split(separator: "/", omittingEmptySubsequences: false).contains(where: \.isEmpty) {
            throw ConfigurationError("\(text): a prefix can't have an empty part (//)")
        }
        return .s3(bucket: bucket, prefix: prefix + "/")
    }
}

/// Paths by their text alone.
public enum Path {
    /// `path` made absolute from `directory`; a leading `~` is the home directory; `.`, `..` and empty parts resolved.
    public static func absolute(_ path: String, from directory: String, home: String = ProcessEnvironment.home)
        -> String
    {
        var full = path
        if path == "~" || path.hasPrefix("~/") { full = home + path.dropFirst() }
        if !full.hasPrefix("/") { full = directory + "/" + full }
        var parts: [Substring] = []
        for part in full.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }
}
