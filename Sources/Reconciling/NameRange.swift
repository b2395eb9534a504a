import Primitives

/// Names between two borders: behind `after`, up to and with `through`.
struct NameRange: Sendable, Equatable {
    var after: ByteString
    /// nil: to the end.
    var through: ByteString?

    /// A name that cuts the range into two of about as many names, if they are evenly spread over what the alphabet can
    /// spell. It is text without slashes. nil: there is none.
    func middle(_ alphabet: Alphabet) -> ByteString? {
        guard let place = place(alphabet) else { return nil }
        for end in alphabet.spellings((place.lower + place.upper) / 2) {
            let name = ByteString(place.shared + end)
            if name > after { return contains(name) ? name : nil }
        }
        return nil
    }

    /// How many times as many names the rest behind `name` is likely to have as what comes before it.
    func rest(behind name: ByteString, _ alphabet: Alphabet) -> Double {
        guard let place = place(alphabet), let text = name.text else { return 0 }
        let cut = alphabet.fraction(text.unicodeScalars.dropFirst(place.shared.count))
        return cut > place.lower ? (place.upper - cut) / (cut - place.lower) : .infinity
    }

    /// Where those names end that share with `last` what it shares with `first`, and then ever fewer characters: names
    /// that count up go on before the first of these ends, or before one of the next. In order, at most `most`.
    static func ends(from first: ByteString, to last: ByteString, most: Int) -> [ByteString] {
        guard let first = first.text, let last = last.text else { return [] }
        let shared = sharedPrefix(Array(first.unicodeScalars), Array(last.unicodeScalars))
        return shared.indices.reversed().prefix(most).compactMap { index in
            shared[index].successor.map { ByteString(shared[..<index] + [$0]) }
        }
    }

    func contains(_ name: ByteString) -> Bool {
        guard let through else { return name > after }
        return name > after && name < through
    }

    /// The borders: what their names share, and how the names go on.
    private struct Place {
        let shared: ArraySlice<Unicode.Scalar>
        let lower: Double
        let upper: Double
    }

    /// nil if a border is no text.
    private func place(_ alphabet: Alphabet) -> Place? {
        guard let low = after.text.map({ Array($0.unicodeScalars) }) else { return nil }
        guard let through else { return Place(shared: [], lower: alphabet.fraction(low), upper: 1) }
        guard let high = through.text.map({ Array($0.unicodeScalars) }) else { return nil }
        let shared = Self.sharedPrefix(low, high)
        return Place(
            shared: shared, lower: alphabet.fraction(low.dropFirst(shared.count)),
            upper: alphabet.fraction(high.dropFirst(shared.count)))
    }

    private static func sharedPrefix(_ one: [Unicode.Scalar], _ other: [Unicode.Scalar]) -> ArraySlice<Unicode.Scalar> {
        one.prefix(zip(one, other).prefix { $0 == $1 }.count)
    }
}

extension ByteString {
    init(_ characters: some Sequence<Unicode.Scalar>) {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: characters)
        self.init(String(text))
    }
}
