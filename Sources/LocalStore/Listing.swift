import CSystem
import Cryptography
import Glibc
import ObjectStore
import Primitives

/// One page of a listing: a walk in the order of the keys' bytes that starts after `position` and ends when the page is
/// full. It holds the names of one directory per level.
struct Listing {
    private static let leastRemembered = 100
    let bucket: Bucket
    let request: Request
    let prefix: ByteString
    let delimited: Bool
    /// The former page's last key or prefix.
    let position: ByteString?
    let limit: Int
    let remembered: RememberedNames
    private(set) var page = ListPage()
    private var last: ByteString?
    private var isFull = false

    init(
        _ bucket: Bucket, prefix: ByteString, delimited: Bool, after position: ByteString?, limit: Int,
        _ remembered: RememberedNames, _ request: Request
    ) {
        self.bucket = bucket
        self.request = request
        self.prefix = prefix
        self.delimited = delimited
        self.position = position
        self.limit = limit
        self.remembered = remembered
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
        guard let names = try names(in: directory, path) else { return }
        if !path.isEmpty, path.count >= prefix.count { try addMarker(directory, path, isEmpty: names.count == 0) }
        let wanted = prefix.count > path.count ? prefix.dropFirst(path.count) : ByteString()
        for index in first(of: names, in: path, wanted)..<names.count {
            let name = names[index]
            guard !isFull, name.hasPrefix(wanted) else { break }
            if path.isEmpty, name == ObjectPath.reserved + "/" || name == ObjectPath.reserved { continue }
            try take(name, path + name, in: directory)
        }
        // Who asks for few wants to know whether there is anything, not to see all.
        if isFull, limit >= Self.leastRemembered { remembered.keep(names, of: path) }
    }

    private mutating func take(
        _ name: ByteString, _ key: ByteString, in directory: Descriptor
    ) throws(StoreError) {
        if key.bytes.last != UInt8(ascii: "/") {
            try addObject(name, key, in: directory)
        } else if delimited {
            guard takesMore() else { return }
            page.prefixes.append(key)
            last = key
        } else if let below = try Bucket.open(name.dropLast(1), in: directory, request) {
            try walk(below, key)
        }
    }

    /// The directory's names: as the page before had them, if this one goes on in there. nil if it is gone.
    private func names(in directory: Descriptor, _ path: ByteString) throws(StoreError) -> SortedNames? {
        if let position, position.hasPrefix(path), let known = remembered.take(path) { return known }
        return try DirectoryNames.read(directory, limit: nil, request).map { SortedNames($0) }
    }

    /// Where in the names this page begins.
    private func first(of names: SortedNames, in path: ByteString, _ wanted: ByteString) -> Int {
        let least = names.index(of: wanted)
        guard let position, position.hasPrefix(path) else { return least }
        let rest = position.dropFirst(path.count)
        guard !delimited, let slash = rest.bytes.firstIndex(of: UInt8(ascii: "/")) else {
            return max(least, names.index(of: rest, after: true))
        }
        // The page before ended inside of this directory.
        return max(least, names.index(of: ByteString(bytes: rest.bytes[...slash])))
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
