import Glibc

/// A password file as s3fs-fuse reads it: lines `ID:SECRET` or `bucket:ID:SECRET`, `#` begins a comment.
/// Refused unless it belongs to us or root, and nobody else may read it.
public struct PasswordFile: CredentialPlace {
    private let path: String
    private let bucket: String

    public init(path: String, bucket: String) {
        self.path = path
        self.bucket = bucket
    }

    public var description: String { "the password file \(path)" }

    public func find() throws(CredentialError) -> AccessKey? {
        guard let file = try SmallFile.read(path) else { return nil }
        guard file.owner == 0 || file.owner == geteuid() else {
            throw CredentialError("\(path) belongs to another user; chown it to the user who mounts")
        }
        guard file.mode & 0o077 == 0 else {
            throw CredentialError("\(path) may be read by others; run: chmod 600 \(path)")
        }
        return try Self.parse(file.bytes, bucket: bucket, path: path)
    }

    static func parse(_ bytes: [UInt8], bucket: String, path: String) throws(CredentialError) -> AccessKey? {
        var general: AccessKey?
        for (number, line) in bytes.split(separator: 10, omittingEmptySubsequences: false).enumerated() {
            let text = trimmed(line)
            if text.isEmpty || text.first == UInt8(ascii: "#") { continue }
            let fields = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
                .map { String(decoding: $0, as: UTF8.self) }
            guard fields.count == 2 || fields.count == 3, !fields.contains("") else {
                throw CredentialError("\(path), line \(number + 1): expected ID:SECRET or bucket:ID:SECRET")
            }
            let key = AccessKey(id: fields[fields.count - 2], secret: fields[fields.count - 1])
            if fields.count == 3 {
                if fields[0] == bucket { return key }
            } else if general == nil {
                general = key
            }
        }
        return general
    }

    private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        func isSpace(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 || byte == 13 }
        var line = line.drop(while: isSpace)
        while let last = line.last, isSpace(last) { line.removeLast() }
        return line
    }
}
