/// The changing statements of a transaction, as bytes from which they can be run again.
///
/// For each statement: UInt16 number of its text; if the number is new, UInt32 length and the text; UInt16 how many values;
/// each value as a byte that says its kind, and an Int64, or UInt32 length and bytes, or nothing. Numbers count from 0 within
/// a group of transactions, so that a text is in the log once.
struct StatementRecorder {
    enum Kind {
        static let null: UInt8 = 0
        static let int: UInt8 = 1
        static let blob: UInt8 = 2
        static let text: UInt8 = 3
    }

    /// Of the present transaction.
    private(set) var bytes: [UInt8] = []
    private var numbers: [UnsafePointer<UInt8>: UInt16] = [:]
    /// Texts that only the present transaction has.
    private var fresh: [UnsafePointer<UInt8>] = []

    mutating func record(_ sql: StaticString, _ values: [SQLValue]) {
        if let number = numbers[sql.utf8Start] {
            append(number)
        } else {
            let number = UInt16(numbers.count)
            numbers[sql.utf8Start] = number
            fresh.append(sql.utf8Start)
            append(number)
            append(UnsafeRawBufferPointer(start: sql.utf8Start, count: sql.utf8CodeUnitCount))
        }
        append(UInt16(values.count))
        for value in values { append(value) }
    }

    /// The transaction is in the log; the next one begins.
    mutating func keep() {
        bytes.removeAll(keepingCapacity: true)
        fresh.removeAll(keepingCapacity: true)
    }

    /// The transaction is undone; the next one begins.
    mutating func discard() {
        for text in fresh { numbers[text] = nil }
        keep()
    }

    /// A new group begins.
    mutating func beginGroup() {
        numbers.removeAll(keepingCapacity: true)
        keep()
    }

    private mutating func append(_ value: SQLValue) {
        switch value {
        case .null: bytes.append(Kind.null)
        case .int(let number):
            bytes.append(Kind.int)
            append(number)
        case .blob(let blob):
            bytes.append(Kind.blob)
            blob.withUnsafeBytes { append($0) }
        case .text(var text):
            bytes.append(Kind.text)
            text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
        }
    }

    private mutating func append(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number) { bytes.append(contentsOf: $0) }
    }

    private mutating func append(_ data: UnsafeRawBufferPointer) {
        append(UInt32(data.count))
        bytes.append(contentsOf: data)
    }
}

/// Reads what a `StatementRecorder` has written, one transaction after the other of a group.
struct StatementReader {
    private var texts: [String] = []
    private var bytes = UnsafeRawBufferPointer(start: nil, count: 0)
    private var place = 0

    /// Calls `body` with each statement of a transaction. Throws if the bytes are none, which their checksum excludes.
    mutating func read(
        _ transaction: UnsafeRawBufferPointer,
        _ body: (_ sql: String, _ values: [SQLValue]) throws(DatabaseError) -> Void
    ) throws(DatabaseError) {
        bytes = transaction
        place = 0
        while place < bytes.count {
            let text = Int(try number(UInt16.self))
            if text == texts.count { texts.append(String(decoding: try data(), as: UTF8.self)) }
            guard text < texts.count else { throw Self.unreadable }
            var values: [SQLValue] = []
            for _ in 0..<(try number(UInt16.self)) { values.append(try value()) }
            try body(texts[text], values)
        }
    }

    private mutating func value() throws(DatabaseError) -> SQLValue {
        switch try number(UInt8.self) {
        case StatementRecorder.Kind.null: return .null
        case StatementRecorder.Kind.int: return .int(try number(Int64.self))
        case StatementRecorder.Kind.blob: return .blob([UInt8](try data()))
        case StatementRecorder.Kind.text: return .text(String(decoding: try data(), as: UTF8.self))
        default: throw Self.unreadable
        }
    }

    private mutating func number<Number: FixedWidthInteger>(_ type: Number.Type) throws(DatabaseError) -> Number {
        let size = MemoryLayout<Number>.size
        guard place + size <= bytes.count else { throw Self.unreadable }
        defer { place += size }
        return bytes.loadUnaligned(fromByteOffset: place, as: Number.self)
    }

    private mutating func data() throws(DatabaseError) -> UnsafeRawBufferPointer {
        let count = Int(try number(UInt32.self))
        guard place + count <= bytes.count else { throw Self.unreadable }
        defer { place += count }
        return UnsafeRawBufferPointer(rebasing: bytes[place..<place + count])
    }

    private static var unreadable: DatabaseError { .corrupt("the redo log can't be read") }
}
