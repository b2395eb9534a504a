import LocalDatabase

/// Why the tree did not do what it was asked; nothing has changed then.
public enum TreeError: Error, Sendable, CustomStringConvertible {
    /// No such node or name.
    case notFound
    /// The name is taken.
    case exists
    case notADirectory
    case isADirectory
    case notEmpty
    /// A directory can't be moved below itself.
    case loop
    /// Too many names of one node.
    case tooManyLinks
    /// The database failed; the cause is kept.
    case database(DatabaseError)

    public var description: String {
        switch self {
        case .notFound: "no such node or name"
        case .exists: "the name is taken"
        case .notADirectory: "not a directory"
        case .isADirectory: "is a directory"
        case .notEmpty: "the directory is not empty"
        case .loop: "a directory can't be moved below itself"
        case .tooManyLinks: "too many names"
        case .database(let error): "the tree's database: \(error)"
        }
    }
}
