import Primitives

/// A key as a path below the bucket's directory: its names, and whether it is a directory's marker (`d/`).
struct ObjectPath {
    /// The store's own directory in the bucket; never listed, no key may begin with it.
    static let reserved: ByteString = ".pail-store"
    /// NAME_MAX of the usual file systems.
    private static let maximumNameBytes = 255

    /// Why a directory can't hold a key.
    struct Refusal: Error {
        let reason: String
    }

    let parents: [ByteString]
    let name: ByteString
    let isMarker: Bool

    init(_ key: ByteString) throws(Refusal) {
        guard !key.isEmpty else { throw Refusal(reason: "an empty key") }
        guard key.count <= LocalStore.maximumKeyBytes else {
            throw Refusal(reason: "a key of \(key.count) bytes; at most \(LocalStore.maximumKeyBytes) fit")
        }
        isMarker = key.bytes.last == UInt8(ascii: "/")
        let names = (isMarker ? key.dropLast(1) : key).split(separator: UInt8(ascii: "/"))
        guard names[0] != Self.reserved else { throw Refusal(reason: "\(Self.reserved) is the store's own") }
        for name in names { if let reason = Self.refusal(of: name) { throw Refusal(reason: reason) } }
        parents = Array(names.dropLast())
        name = names[names.count - 1]
    }

    private static func refusal(of name: ByteString) -> String? {
        if name.isEmpty { return "a directory can't hold a key with an empty part" }
        if name == "." || name == ".." { return "a directory can't hold a key with a part “\(name)”" }
        if name.count > maximumNameBytes { return "a part of the key is longer than \(maximumNameBytes) bytes" }
        if name.bytes.contains(0) { return "a directory can't hold a key with a NUL byte" }
        return nil
    }
}

extension ByteString {
    /// With the NUL that C wants.
    var cString: [CChar] { bytes.map { CChar(bitPattern: $0) } + [0] }
}
