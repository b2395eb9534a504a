/// Sizes and durations as people write them.
public enum Quantity {
    private static let sizeUnits: [(String, Int64)] = [
        ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("PiB", 1 << 50),
        ("kB", 1_000), ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000),
        ("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40), ("B", 1), ("", 1),
    ]
    private static let durationUnits: [(String, Int64)] = [
        ("ms", 1), ("min", 60_000), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]

    /// `10GiB`, `500MB`, `1.5T`, `4096`; K, M, G and T alone count in 1024s. nil for anything else.
    public static func bytes(_ text: String) -> Int64? { number(text, sizeUnits) }

    /// `200ms`, `5s`, `1m`, `2h`, `1d`, in milliseconds; a number without a unit is none, but for 0.
    public static func milliseconds(_ text: String) -> Int64? { text == "0" ? 0 : number(text, durationUnits) }

    /// A size for people: `1.5 GiB`.
    public static func describe(bytes: Int64) -> String {
        var unit = 0
        let names = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
        var scaled = Double(bytes)
        while scaled >= 1024, unit < names.count - 1 {
            scaled /= 1024
            unit += 1
        }
        if unit == 0 { return "\(bytes) B" }
        let tenths = Int64((scaled * 10).rounded())
        return tenths >= 1000 || tenths % 10 == 0
            ? "\(Int64(scaled.rounded())) \(names[unit])" : "\(tenths / 10).\(tenths % 10) \(names[unit])"
    }

    private static func number(_ text: String, _ units: [(String, Int64)]) -> Int64? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let suffix = text.dropFirst(digits.count).drop { $0 == " " }
        guard let unit = units.first(where: { $0.0 == suffix }), let first = digits.first, first != ".",
            digits.last != "."
        else { return nil }
        if let whole = Int64(digits) {
            let (product, overflow) = whole.multipliedReportingOverflow(by: unit.1)
            return overflow ? nil : product
        }
        guard unit.1 > 1, let value = Double(digits), value * Double(unit.1) < 9e18 else { return nil }
        return Int64(value * Double(unit.1))
    }
}
