import Primitives

/// The characters that names were seen to be made of, as the digits of fractions between 0 and 1: where in the order of
/// keys a name lies, if all names that can be spelt were equally likely. Order by characters is that of their bytes.
struct Alphabet {
    /// Digits that are looked at; more would be lost in a Double.
    static let digits = 4

    private var seen: Set<Unicode.Scalar> = []
    private var characters: [Unicode.Scalar] = []

    /// Names that are no text, and characters that services take for something else, don't count.
    mutating func learn(_ names: some Sequence<ByteString>) {
        let former = seen.count
        for name in names {
            for character in name.text?.unicodeScalars ?? .init() where character.isPlain { seen.insert(character) }
        }
        if seen.count > former { characters = seen.sorted() }
    }

    func fraction(_ text: some Sequence<Unicode.Scalar>) -> Double {
        var sum = 0.0
        var unit = 1.0
        for character in text.prefix(Self.digits) {
            unit /= Double(characters.count)
            sum += Double(rank(of: character)) * unit
        }
        return sum
    }

    /// Ever longer spellings of a fraction.
    func spellings(_ fraction: Double) -> [[Unicode.Scalar]] {
        guard !characters.isEmpty else { return [] }
        var rest = fraction
        var text: [Unicode.Scalar] = []
        return (0..<Self.digits).map { _ in
            rest *= Double(characters.count)
            let digit = max(0, min(Int(rest), characters.count - 1))
            rest -= Double(digit)
            text.append(characters[digit])
            return text
        }
    }

    /// How many characters come before this one.
    private func rank(of character: Unicode.Scalar) -> Int {
        var lower = 0
        var upper = characters.count
        while lower < upper {
            let middle = (lower + upper) / 2
            if characters[middle] < character { lower = middle + 1 } else { upper = middle }
        }
        return lower
    }
}

extension Unicode.Scalar {
    /// Whether services take it as it is: no slash of any kind, and what XML can hold.
    var isPlain: Bool {
        switch self {
        case "/", "\\", "\u{7F}", "\u{FFFE}", "\u{FFFF}": false
        default: value >= 0x20
        }
    }

    /// The next one in order that services take as it is.
    var successor: Unicode.Scalar? {
        var value = value + 1
        while value <= 0x10FFFF {
            if let next = Unicode.Scalar(value), next.isPlain { return next }
            value += 1
        }
        return nil
    }
}
