import Cryptography
import ObjectStore
import Primitives

/// Objects by key, and the keys in the order of their bytes.
struct SortedObjects {
    private var objects: [ByteString: MemoryStore.Object] = [:]
    private var keys: [ByteString] = []

    subscript(key: ByteString) -> MemoryStore.Object? { objects[key] }

    var all: [MemoryStore.Object] { keys.compactMap { objects[$0] } }

    mutating func put(_ object: MemoryStore.Object) {
        let key = object.info.key
        if objects.updateValue(object, forKey: key) == nil { keys.insert(key, at: firstIndex { $0 >= key }) }
    }

    mutating func remove(_ key: ByteString) {
        if objects.removeValue(forKey: key) != nil { keys.remove(at: firstIndex { $0 >= key }) }
    }

    func check(_ condition: Condition, on key: ByteString, _ operation: String) throws(StoreError) {
        let holds =
            switch condition {
            case .none: true
            case .absent: objects[key] == nil
            case .matches(let etag): objects[key]?.info.etag == etag
            }
        if !holds { throw StoreError(.conditionFailed, operation, key: key) }
    }

    /// The entries after `position`: any key, or a former page's last rolled-up prefix.
    func page(prefix: ByteString, delimited: Bool, after position: ByteString?, limit: Int) -> ListPage {
        let delimiter = UInt8(ascii: "/")
        var page = ListPage()
        var index = firstIndex { $0 >= prefix }
        if let position {
            let rolledUp = delimited && position.count > prefix.count && position.bytes.last == delimiter
            index = max(index, firstIndex { $0 > position && !(rolledUp && $0.hasPrefix(position)) })
        }
        var last: ByteString?
        var count = 0
        while index < keys.count, keys[index].hasPrefix(prefix) {
            if count == limit {
                page.next = last.map(PageEnd.encode)
                break
            }
            let key = keys[index]
            count += 1
            if delimited, let slash = key.bytes[prefix.count...].firstIndex(of: delimiter) {
                let rolled = ByteString(bytes: key.bytes[...slash])
                page.prefixes.append(rolled)
                last = rolled
                index = firstIndex { $0 > rolled && !$0.hasPrefix(rolled) }
            } else {
                if var info = objects[key]?.info {
                    info.metadata = nil
                    info.contentType = nil
                    page.objects.append(info)
                }
                last = key
                index += 1
            }
        }
        return page
    }

    /// The first index whose key fulfils `isAtOrAfter`, which must be false up to some key and true from there on.
    private func firstIndex(_ isAtOrAfter: (ByteString) -> Bool) -> Int {
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if isAtOrAfter(keys[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

/// The `next` of a page: the last key or prefix in hexadecimal, since keys need not be text.
enum PageEnd {
    static func encode(_ key: ByteString) -> String { Hexadecimal.encode(key.bytes) }

    static func decode(_ text: String) -> ByteString? { Hexadecimal.decode(text).map { ByteString(bytes: $0) } }
}

/// Tags that depend on the content, as S3's do; eight bytes at a time, since tests write megabytes.
enum ContentTag {
    static func make(_ bytes: [UInt8], parts: Int) -> ETag {
        let hash = bytes.withUnsafeBytes { buffer -> UInt64 in
            var hash: UInt64 = 0xCBF2_9CE4_8422_2325 ^ UInt64(buffer.count)
            let words = buffer.count / 8
            for index in 0..<words {
                hash =
                    (hash ^ buffer.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)) &* 0x9E37_79B9_7F4A_7C15
                hash ^= hash >> 29
            }
            for index in (words * 8)..<buffer.count { hash = (hash ^ UInt64(buffer[index])) &* 0x0000_0100_0000_01B3 }
            return hash
        }
        let digits = String(hash, radix: 16)
        let padded = String(repeating: "0", count: 16 - digits.count) + digits
        return ETag(parts > 1 ? "\"\(padded)-\(parts)\"" : "\"\(padded)\"")
    }
}
