import Glibc
import ObjectStore
import Primitives

/// POSIX attributes in object metadata, in the form that s3fs-fuse writes: `mode` decimal with the type bits, `uid`,
/// `gid`, `mtime`/`ctime`/`atime` as seconds with nine decimals, `xattr` as percent-encoded JSON of base64 values.
/// What rclone (`mtime`), gcsfuse (`gcsfuse_mtime`) and Google's tools (`goog-reserved-file-mtime`, `-atime`,
/// `goog-reserved-posix-mode`, `-uid`, `-gid`) write is read.
public enum AttributeMapping {
    /// The metadata of the node's object at `key`. `tag` marks the attempt that writes it; `content` is what its content
    /// is called where the node has several names (see `LinkMark`).
    public static func metadata(of node: Node, at key: ByteString, tag: String, content: String) -> Metadata {
        var metadata: Metadata = [
            "mode": String(node.mode), "uid": String(node.user), "gid": String(node.group),
            "mtime": text(node.modified), "ctime": text(node.changed), "atime": text(node.accessed), "pail": tag,
        ]
        if let identity = node.identity, node.linkCount > 1 {
            let mark = LinkMark(
                links: node.linkCount, identity: identity, content: node.isFile ? content : LinkMark.unchangeable)
            metadata[LinkMark.metadataName] = mark.text(at: key)
        }
        if node.device != 0 { metadata["rdev"] = String(node.device) }
        if !node.xattrs.isEmpty { metadata["xattr"] = XattrText.encode(node.xattrs) }
        return metadata
    }

    public static func contentType(of node: Node) -> String {
        node.isDirectory ? "application/x-directory" : "application/octet-stream"
    }

    /// Takes over what the metadata says; what it doesn't say gets the defaults.
    public static func apply(_ info: ObjectInfo, to node: inout Node, _ defaults: Tree.Defaults) {
        let metadata = info.metadata ?? [:]
        let isDirectory = node.isDirectory
        node.mode = mode(metadata, isDirectory: isDirectory, defaults)
        node.user = (metadata["uid"] ?? metadata["goog-reserved-posix-uid"]).flatMap { UInt32($0) } ?? defaults.user
        node.group = (metadata["gid"] ?? metadata["goog-reserved-posix-gid"]).flatMap { UInt32($0) } ?? defaults.group
        node.device = metadata["rdev"].flatMap { UInt64($0) } ?? 0
        let modified =
            metadata["mtime"].flatMap(seconds) ?? metadata["gcsfuse_mtime"].flatMap(date)
            ?? metadata["goog-reserved-file-mtime"].flatMap(seconds) ?? info.lastModified
        node.modified = modified
        node.changed = metadata["ctime"].flatMap(seconds) ?? modified
        node.accessed =
            metadata["atime"].flatMap(seconds) ?? metadata["goog-reserved-file-atime"].flatMap(seconds) ?? modified
        node.xattrs = metadata["xattr"].map(XattrText.decode) ?? [:]
        if !isDirectory {
            node.sizeBytes = info.sizeBytes
            state(LinkMark(info), of: &node)
        }
        node.isKnown = true
    }

    private static func state(_ mark: LinkMark?, of node: inout Node) {
        if let mark {
            node.identity = mark.identity
            node.linksElsewhere = mark.links > node.links ? mark.links - node.links : 0
        } else if node.links == 1 {
            node.identity = nil
            node.linksElsewhere = 0
        }
    }

    /// Type and permission bits; Google's tools state the latter only, in octal.
    private static func mode(_ metadata: Metadata, isDirectory: Bool, _ defaults: Tree.Defaults) -> UInt32 {
        let mode = isDirectory ? S_IFDIR | defaults.directoryMode : S_IFREG | defaults.fileMode
        if let stated = metadata["mode"].flatMap({ UInt32($0) }) {
            let type = stated & S_IFMT
            // A directory is what its key says; a file's key can stand for anything but a directory.
            let isFitting = isDirectory ? type == S_IFDIR : type != S_IFDIR && type != 0
            return (isFitting ? type : mode & S_IFMT) | stated & 0o7777
        }
        let bits = metadata["goog-reserved-posix-mode"].flatMap { UInt32($0, radix: 8) }
        return bits.map { mode & S_IFMT | $0 & 0o7777 } ?? mode
    }

    static func text(_ time: Timestamp) -> String {
        let digits = String(time.fraction)
        return "\(time.seconds)." + String(repeating: "0", count: 9 - digits.count) + digits
    }

    /// Seconds with up to nine decimals; more are cut.
    static func seconds(_ text: String) -> Timestamp? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = Int64(parts[0]), (-9_000_000_000...9_000_000_000).contains(whole) else { return nil }
        guard parts.count == 2 else { return Timestamp(seconds: whole) }
        let digits = parts[1].prefix(9)
        guard digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        let fraction = Int64(digits + String(repeating: "0", count: 9 - digits.count)) ?? 0
        return Timestamp(seconds: whole, nanoseconds: fraction)
    }

    /// RFC 3339, as gcsfuse writes it: `2006-01-02T15:04:05.999999999Z`.
    static func date(_ text: String) -> Timestamp? {
        guard text.hasSuffix("Z"), text.utf8.count >= 20 else { return nil }
        let numbers = text.dropLast().split(whereSeparator: { "-T:.".contains($0) })
        guard numbers.count >= 6, let year = Int32(numbers[0]), let month = Int32(numbers[1]),
            let day = Int32(numbers[2]), let hour = Int32(numbers[3]), let minute = Int32(numbers[4]),
            let second = Int32(numbers[5]),
            (1600...2300).contains(year), (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        var parts = tm()
        parts.tm_year = year - 1900
        parts.tm_mon = month - 1
        parts.tm_mday = day
        parts.tm_hour = hour
        parts.tm_min = minute
        parts.tm_sec = second
        let fraction = numbers.count > 6 ? String(numbers[6].prefix(9)) : ""
        let nanoseconds = Int64(fraction + String(repeating: "0", count: 9 - fraction.utf8.count)) ?? 0
        return Timestamp(seconds: Int64(timegm(&parts)), nanoseconds: nanoseconds)
    }
}

/// Extended attributes as s3fs-fuse writes them: the percent-encoded text of `{"name":"base64",…}`.
enum XattrText {
    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ xattrs: [ByteString: [UInt8]]) -> String {
        let pairs = xattrs.sorted { $0.key < $1.key }.map { name, value in
            [UInt8(ascii: "\"")] + name.bytes + Array("\":\"".utf8) + base64(value) + [UInt8(ascii: "\"")]
        }
        let json = [UInt8(ascii: "{")] + pairs.joined(separator: [UInt8(ascii: ",")]) + [UInt8(ascii: "}")]
        return percentEncoded(json)
    }

    /// What can't be read as that form is left out.
    static func decode(_ text: String) -> [ByteString: [UInt8]] {
        var xattrs: [ByteString: [UInt8]] = [:]
        let json = percentDecoded(text)
        var strings: [[UInt8]] = []
        var position = 0
        while let start = json[position...].firstIndex(of: UInt8(ascii: "\"")),
            let end = json[(start + 1)...].firstIndex(of: UInt8(ascii: "\""))
        {
            strings.append(Array(json[(start + 1)..<end]))
            position = end + 1
        }
        for index in stride(from: 0, to: strings.count - 1, by: 2) {
            if let value = decoded(strings[index + 1]) { xattrs[ByteString(bytes: strings[index])] = value }
        }
        return xattrs
    }

    private static func base64(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let padded = Array(group) + Array(repeating: 0, count: 3 - group.count)
            let word = UInt32(padded[0]) << 16 | UInt32(padded[1]) << 8 | UInt32(padded[2])
            for index in 0..<4 {
                out.append(
                    index <= group.count ? digits[Int(word >> UInt32(18 - 6 * index)) & 63] : UInt8(ascii: "="))
            }
        }
        return out
    }

    private static func decoded(_ text: [UInt8]) -> [UInt8]? {
        var out: [UInt8] = []
        var word: UInt32 = 0
        var bits = 0
        for byte in text where byte != UInt8(ascii: "=") {
            guard let digit = digits.firstIndex(of: byte) else { return nil }
            word = word << 6 | UInt32(digit)
            bits += 6
            if bits >= 8 {
                bits -= 8
                out.append(UInt8(truncatingIfNeeded: word >> UInt32(bits)))
            }
        }
        return out
    }

    private static func percentEncoded(_ bytes: [UInt8]) -> String {
        let hex = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                out.append(byte)
            default: out += [UInt8(ascii: "%"), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func percentDecoded(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        var out: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
                let value = UInt8(String(decoding: bytes[(index + 1)...(index + 2)], as: UTF8.self), radix: 16)
            {
                out.append(value)
                index += 3
            } else {
                out.append(bytes[index])
                index += 1
            }
        }
        return out
    }
}
