import Glibc
import Primitives

/// The names in a directory in the order of keys, directories with their slash, in one piece of memory: a directory may
/// have millions.
struct SortedNames: Sendable {
    private let bytes: [UInt8]
    private let places: [Place]

    private struct Place {
        var start: Int
        var count: Int
    }

    init(_ entries: [DirectoryEntry]) {
        var bytes: [UInt8] = []
        var places: [Place] = []
        bytes.reserveCapacity(entries.reduce(0) { $0 + $1.name.count + 1 })
        places.reserveCapacity(entries.count)
        for entry in entries {
            let start = bytes.count
            bytes += entry.name.bytes
            if entry.isDirectory { bytes.append(UInt8(ascii: "/")) }
            places.append(Place(start: start, count: bytes.count - start))
        }
        bytes.withUnsafeBytes { buffer in
            places.sort { Self.order(buffer, $0, $1) < 0 }
        }
        self.bytes = bytes
        self.places = places
    }

    var count: Int { places.count }
    /// About the memory that it takes.
    var memoryBytes: Int { bytes.count + places.count * MemoryLayout<Place>.stride }

    subscript(_ index: Int) -> ByteString {
        let place = places[index]
        return ByteString(bytes: bytes[place.start..<(place.start + place.count)])
    }

    /// The index of the first name that is not before `name`; with `after`, of the first behind it.
    func index(of name: ByteString, after: Bool = false) -> Int {
        name.bytes.withUnsafeBytes { wanted in
            bytes.withUnsafeBytes { buffer in
                var lower = 0
                var upper = places.count
                while lower < upper {
                    let middle = (lower + upper) / 2
                    let order = Self.order(buffer, places[middle], wanted)
                    if order < 0 || (after && order == 0) { lower = middle + 1 } else { upper = middle }
                }
                return lower
            }
        }
    }

    private static func order(_ buffer: UnsafeRawBufferPointer, _ place: Place, _ other: Place) -> Int {
        order(buffer, place, UnsafeRawBufferPointer(rebasing: buffer[other.start..<(other.start + other.count)]))
    }

    /// Negative, zero or positive, as memcmp(3).
    private static func order(_ buffer: UnsafeRawBufferPointer, _ place: Place, _ other: UnsafeRawBufferPointer) -> Int
    {
        let common = min(place.count, other.count)
        if common > 0 {
            let order = memcmp(buffer.baseAddress! + place.start, other.baseAddress!, common)
            if order != 0 { return Int(order) }
        }
        return place.count - other.count
    }
}

/// The names of directories of which pages were listed and more will be asked for: without it each page would read all of
/// the directory again. What comes into a directory after its first page is in the next listing. Thread-safe.
final class RememberedNames: Sendable {
    private static let maximumDirectories = 16
    private static let maximumBytes = 256 << 20

    /// The most recently used last.
    private let directories = Lock([(path: ByteString, names: SortedNames)]())

    func take(_ path: ByteString) -> SortedNames? {
        directories.withLock { directories in
            directories.firstIndex { $0.path == path }.map { directories.remove(at: $0).names }
        }
    }

    func keep(_ names: SortedNames, of path: ByteString) {
        directories.withLock { directories in
            directories.removeAll { $0.path == path }
            directories.append((path, names))
            while directories.count > Self.maximumDirectories
                || directories.reduce(0, { $0 + $1.names.memoryBytes }) > Self.maximumBytes
            {
                directories.removeFirst()
            }
        }
    }
}
