/// What is wrong with what the user wrote, and where. One line for people.
public struct ConfigurationError: Error, Equatable, CustomStringConvertible {
    /// A place in a file; line and column count from 1.
    public struct Location: Sendable, Equatable {
        public var file: String
        public var line: Int
        public var column: Int

        public init(file: String, line: Int, column: Int) {
            self.file = file
            self.line = line
            self.column = column
        }
    }

    /// nil for what came from the command line.
    public var location: Location?
    public var message: String

    public init(_ message: String, at location: Location? = nil) {
        self.message = message
        self.location = location
    }

    public var description: String {
        guard let location else { return message }
        return "\(location.file):\(location.line):\(location.column): \(message)"
    }
}
