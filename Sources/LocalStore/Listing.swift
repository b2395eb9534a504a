import CSystem
import Cryptography
import Glibc
import ObjectStore
import Primitives

/// One page of a listing: a walk in the order of the keys' bytes that starts after `position` and ends when the page is
/// full. It holds the names of one directory per level.
struct Listing {
    let bucket: Bucket
    let request: Request
    let prefix: ByteString
    let delimited: Bool
    /// The former page's last key or prefix.
    let position: ByteString?
    let limit: Int
    private(set) var page = ListPage()
    private var last: ByteString?
    private var isFull = false

    init(
        _ bucket: Bucket, prefix: ByteString, delimited: Bool, after position: ByteString?, limit: Int,
        _ request: Request
    ) {
        self.bucket = bucket
        self.request = request
        self.prefix = prefix
        self.delimited = delimited
        self.position = position
        self.limit = limit
    }

    mutating func run() throws(StoreError) {
        let slash = prefix.bytes.lastIndex(of: UInt8(ascii: "/"))
        let path = ByteString(bytes: slash.map { prefix.bytes[...$0] } ?? [])
        var names: [ByteString] = []
        if !path.isEmpty {
            guard let parsed = try? ObjectPath(path) else { return }
            names = parsed.parents + [parsed.name]
        }
        guard let directory = try bucket.directory(names, request) else { return }
        try walk(directory, path)
    }

    private mutating func walk(_ directory: Descriptor, _ path: ByteString) throws(StoreError) {
        try request.checkCancelled()
        guard let all = try DirectoryNames.read(directory, limit: nil, request) else { return }
        if !path.isEmpty, path.count >= prefix.count { try addMarker(directory, path, isEmpty: all.isEmpty) }
        for name in select(all, in: path) {
            if isFull { return }
            let key = path + name
            if key.bytes.last != UInt8(ascii: "/") {
                try addObject(name, key, in: directory)
            } else if delimited {
                if takesMore() {
                    page.prefixes.append(key)
                    last = key
                }
            } else if let below = try Bucket.open(name.dropLast(1), in: directory, request) {
                try walk(below, key)
            }
        }
    }

    /// The names that the page may still need, directories with their slash, in order.
    private func select(_ entries: [DirectoryEntry], in path: ByteString) -> [ByteString] {
        let wanted = prefix.count > path.count ? prefix.dropFirst(path.count) : ByteString()
        var names: [ByteString] = []
        for entry in entries where !(path.isEmpty && entry.name == ObjectPath.reserved) {
            let name = entry.sortKey
            guard name.hasPrefix(wanted) else { continue }
            if let position {
                let key = path + name
                let isInside = entry.isDirectory && !delimited && position.hasPrefix(key)
                if key <= position && !isInside { continue }
            }
            names.append(name)
        }
        names.sort()
        return names
    }

    private mutating func addMarker(
        _ directory: Descriptor, _ path: ByteString, isEmpty: Bool
    ) throws(StoreError) {
        if let position, path <= position { return }
        let marker = try bucket.marker(directory, path, request) { () throws(StoreError) in isEmpty }
        guard let marker, takesMore() else { return }
        add(marker.info)
    }

    private mutating func addObject(
        _ name: ByteString, _ key: ByteString, in directory: Descriptor
    ) throws(StoreError) {
        guard takesMore() else { return }
        var status = stat()
        let path = name.cString
        // What went away since the names were read isn't listed.
        guard
            try request.checkPresent("stat", { fstatat(directory.number, path, &status, AT_SYMLINK_NOFOLLOW) }) != nil,
            status.st_mode & S_IFMT == S_IFREG
        else { return }
        add(
            ObjectInfo(
                key: key, sizeBytes: Int64(status.st_size), etag: LocalObject.tag(status),
                lastModified: Timestamp(status.st_mtim)))
    }

    private mutating func add(_ info: ObjectInfo) {
        var info = info
        info.metadata = nil
        info.contentType = nil
        page.objects.append(info)
        last = info.key
    }

    /// Whether the page has room; if not, it ends here and says where the next one begins.
    private mutating func takesMore() -> Bool {
        if page.objects.count + page.prefixes.count < limit { return true }
        isFull = true
        // In hexadecimal, since keys need not be text.
        page.next = last.map { Hexadecimal.encode($0.bytes) }
        return false
    }
}
