/// A value in a YAML 1.1 document, and where it begins (lines and columns count from 1).
///
/// Plain YAML only: anchors, aliases, tags and several documents are refused; so are keys that are no scalars, and
/// keys that come twice. Nothing is guessed about scalars: they are text, and whether it was quoted.
public struct YAMLNode: Sendable {
    public indirect enum Content: Sendable {
        case scalar(String, quoted: Bool)
        case sequence([YAMLNode])
        /// In the order of the document.
        case mapping([(key: YAMLNode, value: YAMLNode)])
    }

    public var content: Content
    public var line: Int
    public var column: Int

    public init(content: Content, line: Int, column: Int) {
        self.content = content
        self.line = line
        self.column = column
    }

    /// The document's root: an empty scalar, not quoted, if there is none.
    public static func parse(_ text: String) throws(ParseError) -> YAMLNode { try parse(Array(text.utf8)) }

    /// Collections nest at most 64 deep. How large a document may be is for the caller to say.
    public static func parse(_ bytes: [UInt8]) throws(ParseError) -> YAMLNode { try YAMLReader(bytes).document() }
}
