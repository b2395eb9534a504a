import CExpat

/// Makes a tree of what expat calls. For one document.
final class XMLBuilder {
    private static let maximumDepth = 64

    private struct Open {
        var name: String
        var text: [UInt8] = []
        var children: [XMLElement] = []
    }

    private let parser: XML_Parser
    private var open: [Open] = []
    private var root: XMLElement?
    private var failure: ParseError?

    init() {
        guard let parser = XML_ParserCreate(nil) else { fatalError("expat ran out of memory") }
        self.parser = parser
    }

    deinit { XML_ParserFree(parser) }

    func parse(_ bytes: [UInt8]) throws(ParseError) -> XMLElement {
        let document = bytes.drop { $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }
        guard let count = Int32(exactly: document.count) else {
            throw ParseError(message: "the document is too large", line: 1, column: 1)
        }
        setHandlers()
        let status = document.withUnsafeBytes { XML_Parse(parser, $0.baseAddress, count, 1) }
        if let failure { throw failure }
        guard status == XML_STATUS_OK, let root else {
            throw error(String(cString: XML_ErrorString(XML_GetErrorCode(parser))))
        }
        return root
    }

    private func setHandlers() {
        XML_SetUserData(parser, Unmanaged.passUnretained(self).toOpaque())
        XML_SetElementHandler(
            parser, { data, name, _ in XMLBuilder.of(data).start(name!) }, { data, _ in XMLBuilder.of(data).end() })
        XML_SetCharacterDataHandler(parser) { data, bytes, count in
            XMLBuilder.of(data).characters(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
        }
        XML_SetStartDoctypeDeclHandler(parser) { data, _, _, _, _ in
            XMLBuilder.of(data).stop("document type declarations are not allowed")
        }
    }

    private static func of(_ data: UnsafeMutableRawPointer?) -> XMLBuilder {
        Unmanaged.fromOpaque(data!).takeUnretainedValue()
    }

    private func start(_ name: UnsafePointer<CChar>) {
        if open.count == Self.maximumDepth { stop("elements nest deeper than \(Self.maximumDepth)") }
        let name = String(cString: name)
        let local = name.lastIndex(of: ":").map { String(name[name.index(after: $0)...]) } ?? name
        open.append(Open(name: local))
    }

    /// Expat goes on to the end of the present token after `stop`, so pairs still match.
    private func end() {
        let last = open.removeLast()
        let element = XMLElement(
            name: last.name, text: String(decoding: last.text, as: UTF8.self), children: last.children)
        if open.isEmpty { root = element } else { open[open.count - 1].children.append(element) }
    }

    private func characters(_ bytes: UnsafeRawBufferPointer) { open[open.count - 1].text.append(contentsOf: bytes) }

    private func stop(_ message: String) {
        if failure == nil { failure = error(message) }
        XML_StopParser(parser, 0)
    }

    private func error(_ message: String) -> ParseError {
        ParseError(
            message: message, line: Int(XML_GetCurrentLineNumber(parser)),
            column: Int(XML_GetCurrentColumnNumber(parser)) + 1)
    }
}
