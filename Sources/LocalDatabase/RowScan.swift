/// All rows of a database file's tables that can be read, whatever state the file is in. Neither changes the file nor
/// minds who has it open; if somebody writes to it meanwhile, rows may be missing.
///
/// A row is not told apart by its table: who asks knows his own by their columns. Rows of tables without row ids are not
/// found.
public enum RowScan {
    private static let tableLeaf: UInt8 = 13
    private static let maximumPayloadBytes = 1 << 24
    private static let maximumColumns = 100

    /// Calls `body` with each row's id and columns. The row id's own column is null in there.
    /// Returns false if the file can't be opened.
    @discardableResult
    public static func rows(of path: String, _ body: (_ id: Int64, _ columns: [SQLValue]) -> Void) -> Bool {
        guard let pages = DatabasePages(path: path) else { return false }
        guard pages.count > 0 else { return true }
        for number in 1...pages.count {
            guard let page = pages.page(number) else { continue }
            let start = number == 1 ? 100 : 0
            guard page.uint8(start) == tableLeaf else { continue }
            let cells = min(page.uint16(start + 3), DatabasePages.pageBytes / 2)
            for index in 0..<cells {
                var offset = page.uint16(start + 8 + 2 * index)
                if let row = row(page, &offset, pages) { body(row.id, row.columns) }
            }
        }
        return true
    }

    private static func row(
        _ page: PageBytes, _ offset: inout Int, _ pages: DatabasePages
    ) -> (id: Int64, columns: [SQLValue])? {
        guard offset >= 8, offset < DatabasePages.pageBytes else { return nil }
        let length = page.varint(&offset)
        let id = page.varint(&offset)
        guard length > 1, length <= Int64(maximumPayloadBytes),
            let payload = payload(page, offset, Int(length), pages)
        else { return nil }
        return columns(PageBytes(bytes: payload)).map { (id, $0) }
    }

    /// The row's bytes, with those on overflow pages.
    private static func payload(
        _ page: PageBytes, _ offset: Int, _ length: Int, _ pages: DatabasePages
    ) -> [UInt8]? {
        let usable = DatabasePages.pageBytes
        let most = usable - 35
        var local = length
        if length > most {
            let least = (usable - 12) * 32 / 255 - 23
            let fitting = least + (length - least) % (usable - 4)
            local = fitting <= most ? fitting : least
        }
        guard offset + local <= usable else { return nil }
        var payload = Array(page.bytes[offset..<(offset + local)])
        var next = page.uint32(offset + local)
        while payload.count < length {
            guard next > 1, let overflow = pages.page(next) else { return nil }
            payload += overflow.bytes[4..<min(usable, 4 + length - payload.count)]
            next = overflow.uint32(0)
        }
        return payload
    }

    /// A record: a header of column types, then the columns.
    private static func columns(_ record: PageBytes) -> [SQLValue]? {
        var position = 0
        let headerBytes = record.varint(&position)
        guard headerBytes > 1, headerBytes <= Int64(record.bytes.count) else { return nil }
        var columns: [SQLValue] = []
        var body = Int(headerBytes)
        while position < Int(headerBytes) {
            let type = record.varint(&position)
            guard columns.count < maximumColumns, let value = value(record, type, &body) else { return nil }
            columns.append(value)
        }
        return body == record.bytes.count ? columns : nil
    }

    private static func value(_ record: PageBytes, _ type: Int64, _ offset: inout Int) -> SQLValue? {
        let integerBytes: [Int64: Int] = [1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8]
        if type == 0 { return .null }
        if type == 8 || type == 9 { return .int(type - 8) }
        if let count = integerBytes[type] {
            guard offset + count <= record.bytes.count else { return nil }
            defer { offset += count }
            let first = Int64(Int8(bitPattern: record.bytes[offset]))
            return .int(record.bytes[(offset + 1)..<(offset + count)].reduce(first) { $0 << 8 | Int64($1) })
        }
        // 7 is a floating-point number, 10 and 11 are reserved: nothing here stores them.
        guard type >= 12, (type - 12) / 2 <= Int64(record.bytes.count - offset) else { return nil }
        let end = offset + Int((type - 12) / 2)
        defer { offset = end }
        let bytes = Array(record.bytes[offset..<end])
        return type % 2 == 0 ? .blob(bytes) : .text(String(decoding: bytes, as: UTF8.self))
    }
}
