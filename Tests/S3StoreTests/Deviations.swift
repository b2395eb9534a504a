/// Rules of the contract that a server breaks by itself, and why: by server, by the rule's name.
enum Deviations {
    static let known: [String: [String: String]] = [:]
}
