/// An element of an XML document. Attributes are not kept: no storage protocol here says anything in them.
public final class XMLElement: Sendable {
    /// The local name, without a namespace prefix.
    public let name: String
    /// The character data directly inside, as it stands: white space is kept, keys may begin with it.
    public let text: String
    public let children: [XMLElement]

    init(name: String, text: String, children: [XMLElement]) {
        self.name = name
        self.text = text
        self.children = children
    }

    /// The first child with this name.
    public subscript(_ name: String) -> XMLElement? { children.first { $0.name == name } }

    /// The children with this name, in order.
    public func all(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }

    /// The root element. Elements nest at most 64 deep; document type declarations, and with them entities other than
    /// the predefined ones, are refused. Some servers send white space to keep a connection alive: it may come first.
    public static func parse(_ bytes: [UInt8]) throws(ParseError) -> XMLElement {
        try XMLBuilder().parse(bytes)
    }
}
