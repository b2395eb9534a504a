extension ByteString {
    /// FNV-1a with 64 bits (draft-eastlake-fnv): a short name for a long one; not for secrets.
    public var fnv1a: UInt64 { bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 } }

    /// The same in 16 hexadecimal digits.
    public var fnv1aHexadecimal: String {
        let digits = String(fnv1a, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
