/// Requests whose answers take about as long.
enum RequestKind: Hashable {
    case list, head
    case shortRead, mediumRead, longRead

    static func read(bytes: Int64) -> RequestKind {
        switch bytes {
        case ...(64 << 10): .shortRead
        case ...(1 << 20): .mediumRead
        default: .longRead
        }
    }
}
