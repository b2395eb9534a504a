/// Finds what somebody who mistyped a name probably meant.
public enum Suggestion {
    /// `, did you mean X?` for the candidate nearest to `name`, or nothing if none is near.
    public static func hint(
        for name: String, among candidates: [String], quote: (String) -> String = { $0 }
    ) -> String {
        let limit = max(1, name.count / 3)
        let ranked = candidates.map { ($0, distance(name.lowercased(), $0.lowercased())) }
        guard let best = ranked.min(by: { $0.1 < $1.1 }), best.1 <= limit else { return "" }
        return ", did you mean \(quote(best.0))?"
    }

    /// The number of letters to insert, remove or replace (Levenshtein).
    static func distance(_ left: String, _ right: String) -> Int {
        let left = Array(left)
        let right = Array(right)
        var previous = Array(0...right.count)
        for (row, letter) in left.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                let replaced = previous[column] + (letter == other ? 0 : 1)
                current.append(min(replaced, previous[column + 1] + 1, current[column] + 1))
            }
            previous = current
        }
        return previous[right.count]
    }
}
