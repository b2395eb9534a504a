import Glibc
import LocalDatabase
import ObjectStore
import Primitives

extension Node {
    /// The order in which `init(row:from:)` reads them.
    static let columnCount = 24

    init(row: Row, from first: Int = 0) {
        self.init(
            id: NodeID(stored: row.int(first)), mode: UInt32(truncatingIfNeeded: row.int(first + 1)),
            user: UInt32(truncatingIfNeeded: row.int(first + 2)),
            group: UInt32(truncatingIfNeeded: row.int(first + 3)),
            accessed: Timestamp(nanoseconds: row.int(first + 6)),
            modified: Timestamp(nanoseconds: row.int(first + 7)),
            changed: Timestamp(nanoseconds: row.int(first + 8)))
        device = UInt64(bitPattern: row.int(first + 4))
        sizeBytes = row.size(first + 5)
        if !row.isNull(first + 9) { target = ByteString(bytes: row.blob(first + 9)) }
        if !row.isNull(first + 10) { xattrs = XattrCoding.decode(row.blob(first + 10)) }
        links = UInt32(truncatingIfNeeded: row.int(first + 11))
        content = row.int(first + 12)
        attributes = row.int(first + 13)
        isKnown = row.int(first + 14) != 0
        isLive = row.int(first + 15) != 0
        if !row.isNull(first + 16) {
            origin = ObjectSource(
                key: ByteString(bytes: row.blob(first + 16)), etag: ETag(row.text(first + 17)),
                sizeBytes: row.size(first + 18))
        }
        if !row.isNull(first + 19) { prefix = ByteString(bytes: row.blob(first + 19)) }
        if !row.isNull(first + 20) { listed = Timestamp(nanoseconds: row.int(first + 20)) }
        subdirectories = UInt32(truncatingIfNeeded: row.int(first + 21))
        if !row.isNull(first + 22) { identity = row.text(first + 22) }
        linksElsewhere = UInt32(truncatingIfNeeded: row.int(first + 23))
    }

    /// All columns but the id and `subdirectories`, which the database counts itself.
    private var values: [SQLValue] {
        [
            .int(Int64(mode)), .int(Int64(user)), .int(Int64(group)), .int(Int64(bitPattern: device)),
            .int(sizeBytes), .int(accessed.nanoseconds), .int(modified.nanoseconds), .int(changed.nanoseconds),
            target.map { .blob($0.bytes) } ?? .null,
            xattrs.isEmpty ? .null : .blob(XattrCoding.encode(xattrs)), .int(Int64(links)), .int(content),
            .int(attributes), .int(isKnown ? 1 : 0), .int(isLive ? 1 : 0), origin.map { .blob($0.key.bytes) } ?? .null,
            origin.map { .text($0.etag.value) } ?? .null, origin.map { .int($0.sizeBytes) } ?? .null,
            prefix.map { .blob($0.bytes) } ?? .null, listed.map { .int($0.nanoseconds) } ?? .null,
            identity.map { .text($0) } ?? .null, .int(Int64(linksElsewhere)),
        ]
    }

    /// Inserts the node; `id` is set to the new one unless `withID`.
    mutating func insert(into connection: Connection, withID: Bool = false) throws(DatabaseError) {
        try connection.run(
            """
            INSERT INTO nodes(id, mode, user, grp, device, size, accessed, modified, changed, target, xattrs, links,
                content, attributes, known, live, originKey, originTag, originSize, prefix, listed, identity, elsewhere)
            VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """, [withID ? .int(Int64(id.raw)) : .null] + values)
        id = NodeID(stored: connection.lastInsertedRowID)
    }

    func update(in connection: Connection) throws(DatabaseError) {
        try connection.run(
            """
            UPDATE nodes SET mode = ?, user = ?, grp = ?, device = ?, size = ?, accessed = ?, modified = ?,
                changed = ?, target = ?, xattrs = ?, links = ?, content = ?, attributes = ?, known = ?, live = ?,
                originKey = ?, originTag = ?, originSize = ?, prefix = ?, listed = ?, identity = ?, elsewhere = ?
            WHERE id = ?
            """, values + [.int(Int64(id.raw))])
    }
}

extension Row {
    /// A number of bytes; one that can't be, which only a damaged file holds, is the nearest that can.
    fileprivate func size(_ column: Int) -> Int64 { min(max(0, int(column)), 1 << 60) }
}

extension Name {
    /// Reads `id, parent, name, node, component`.
    init(row: Row, from first: Int = 0) {
        self.init(
            id: NameID(row.int(first)), parent: NodeID(stored: row.int(first + 1)),
            name: ByteString(bytes: row.blob(first + 2)), node: NodeID(stored: row.int(first + 3)),
            component: row.isNull(first + 4) ? nil : ByteString(bytes: row.blob(first + 4)))
    }
}

extension HeldObject {
    /// Reads all columns.
    init(row: Row) {
        self.init(
            key: ByteString(bytes: row.blob(0)), etag: ETag(row.text(1)), sizeBytes: row.size(2),
            modified: row.isNull(3) ? nil : Timestamp(nanoseconds: row.int(3)),
            owner: row.isNull(4) ? nil : NameID(row.int(4)), node: NodeID(stored: row.int(5)), content: row.int(6),
            attributes: row.int(7))
        sequence = row.int(8)
        if !row.isNull(9) { revision = row.text(9) }
    }
}

extension Attempt {
    /// Reads all columns.
    init(row: Row) {
        self.init(
            key: ByteString(bytes: row.blob(0)), tag: row.text(1), name: NameID(row.int(2)),
            node: NodeID(stored: row.int(3)), content: row.int(4), attributes: row.int(5),
            revision: row.isNull(6) ? nil : row.text(6))
    }
}

/// Extended attributes in one blob: for each a length and the name, a length and the value (lengths 4 bytes, big end
/// first), names in order.
enum XattrCoding {
    static func encode(_ xattrs: [ByteString: [UInt8]]) -> [UInt8] {
        var out: [UInt8] = []
        func append(_ bytes: [UInt8]) {
            for shift in [24, 16, 8, 0] { out.append(UInt8(truncatingIfNeeded: bytes.count >> shift)) }
            out += bytes
        }
        for (name, value) in xattrs.sorted(by: { $0.key < $1.key }) {
            append(name.bytes)
            append(value)
        }
        return out
    }

    static func decode(_ bytes: [UInt8]) -> [ByteString: [UInt8]] {
        var xattrs: [ByteString: [UInt8]] = [:]
        var position = 0
        func next() -> [UInt8]? {
            guard position + 4 <= bytes.count else { return nil }
            let count = bytes[position..<(position + 4)].reduce(0) { $0 << 8 | Int($1) }
            guard position + 4 + count <= bytes.count else { return nil }
            defer { position += 4 + count }
            return Array(bytes[(position + 4)..<(position + 4 + count)])
        }
        while let name = next(), let value = next() { xattrs[ByteString(bytes: name)] = value }
        return xattrs
    }
}
