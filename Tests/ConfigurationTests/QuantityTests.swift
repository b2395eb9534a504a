import Testing

@testable import Configuration

@Suite struct QuantityTests {
    @Test(
        arguments: [
            ("10GiB", 10 << 30), ("500MB", 500_000_000), ("1.5GiB", 3 << 29), ("4096", 4096), ("64M", 64 << 20),
            ("1 TiB", 1 << 40), ("0", 0), ("2kB", 2000), ("7B", 7),
        ] as [(String, Int64)])
    func sizes(text: String, bytes: Int64) { #expect(Quantity.bytes(text) == bytes) }

    @Test(arguments: ["", "GiB", "10Gi", "10 apples", "-1", "1.", ".5M", "1.5", "99999999999GiB", "1e9", "0x10", "١٠"])
    func noSizes(text: String) { #expect(Quantity.bytes(text) == nil) }

    @Test(
        arguments: [
            ("200ms", 200), ("5s", 5_000), ("1m", 60_000), ("2min", 120_000), ("1.5s", 1_500), ("1h", 3_600_000),
            ("0", 0),
            ("1d", 86_400_000),
        ] as [(String, Int64)])
    func durations(text: String, milliseconds: Int64) { #expect(Quantity.milliseconds(text) == milliseconds) }

    @Test(arguments: ["", "5", "s", "5 years", "-1s", "5S", "1.2.3s"])
    func noDurations(text: String) { #expect(Quantity.milliseconds(text) == nil) }

    @Test(
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (10 << 30, "10 GiB"),
            (500_000_000, "477 MiB"),
        ] as [(Int64, String)])
    func described(bytes: Int64, text: String) { #expect(Quantity.describe(bytes: bytes) == text) }
}
