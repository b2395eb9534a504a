import CYaml

/// Makes nodes of the events of libyaml's parser (https://pyyaml.org/wiki/LibYAML). For one document.
final class YAMLReader {
    private static let maximumDepth = 64

    private struct Event {
        enum Kind {
            case scalar(String, quoted: Bool)
            case sequence, mapping, end, documentStart, streamEnd, other
        }
        var kind: Kind
        var mark: yaml_mark_t
    }

    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let input: UnsafeMutableBufferPointer<UInt8>
    private var depth = 0

    init(_ bytes: [UInt8]) {
        parser = .allocate(capacity: 1)
        guard yaml_parser_initialize(parser) == 1 else { fatalError("libyaml ran out of memory") }
        input = .allocate(capacity: bytes.count)
        _ = input.initialize(from: bytes)
        yaml_parser_set_input_string(parser, input.baseAddress, input.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
        input.deallocate()
    }

    func document() throws(ParseError) -> YAMLNode {
        var event = try next()  // the stream's start
        event = try next()
        guard case .documentStart = event.kind else {
            return YAMLNode(content: .scalar("", quoted: false), line: 1, column: 1)
        }
        let root = try node(try next())
        event = try next()  // the document's end
        event = try next()
        guard case .streamEnd = event.kind else { throw failure("only one document is allowed", event.mark) }
        return root
    }

    private func node(_ event: Event) throws(ParseError) -> YAMLNode {
        let content: YAMLNode.Content =
            switch event.kind {
            case .scalar(let text, let quoted): .scalar(text, quoted: quoted)
            case .sequence: .sequence(try nested(event, sequence))
            case .mapping: .mapping(try nested(event, mapping))
            default: throw failure("a value is missing", event.mark)
            }
        return YAMLNode(content: content, line: Int(event.mark.line) + 1, column: Int(event.mark.column) + 1)
    }

    private func nested<Value>(
        _ event: Event, _ body: () throws(ParseError) -> Value
    ) throws(ParseError) -> Value {
        depth += 1
        defer { depth -= 1 }
        if depth > Self.maximumDepth { throw failure("values nest deeper than \(Self.maximumDepth)", event.mark) }
        return try body()
    }

    private func sequence() throws(ParseError) -> [YAMLNode] {
        var items: [YAMLNode] = []
        while true {
            let event = try next()
            if case .end = event.kind { return items }
            items.append(try node(event))
        }
    }

    private func mapping() throws(ParseError) -> [(key: YAMLNode, value: YAMLNode)] {
        var pairs: [(key: YAMLNode, value: YAMLNode)] = []
        var lines: [String: Int] = [:]
        while true {
            let event = try next()
            if case .end = event.kind { return pairs }
            guard case .scalar(let name, _) = event.kind else { throw failure("a key must be a word", event.mark) }
            if let line = lines[name] {
                throw failure("the key \(name) is already on line \(line)", event.mark)
            }
            lines[name] = Int(event.mark.line) + 1
            let key = try node(event)
            pairs.append((key, try node(try next())))
        }
    }

    private func next() throws(ParseError) -> Event {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { throw problem() }
        defer { yaml_event_delete(&event) }
        let mark = event.start_mark
        switch event.type {
        case YAML_ALIAS_EVENT:
            throw failure("aliases (*) are not supported: write the value out", mark)
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            try refuse(anchor: scalar.anchor, tag: scalar.tag, mark)
            let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            return Event(kind: .scalar(text, quoted: scalar.style != YAML_PLAIN_SCALAR_STYLE), mark: mark)
        case YAML_SEQUENCE_START_EVENT:
            try refuse(anchor: event.data.sequence_start.anchor, tag: event.data.sequence_start.tag, mark)
            return Event(kind: .sequence, mark: mark)
        case YAML_MAPPING_START_EVENT:
            try refuse(anchor: event.data.mapping_start.anchor, tag: event.data.mapping_start.tag, mark)
            return Event(kind: .mapping, mark: mark)
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: return Event(kind: .end, mark: mark)
        case YAML_DOCUMENT_START_EVENT: return Event(kind: .documentStart, mark: mark)
        case YAML_STREAM_END_EVENT: return Event(kind: .streamEnd, mark: mark)
        default: return Event(kind: .other, mark: mark)
        }
    }

    private func refuse(
        anchor: UnsafeMutablePointer<UInt8>?, tag: UnsafeMutablePointer<UInt8>?, _ mark: yaml_mark_t
    ) throws(ParseError) {
        if anchor != nil { throw failure("anchors (&) are not supported: write the value out", mark) }
        if tag != nil { throw failure("tags (!) are not supported: quote what begins with !", mark) }
    }

    private func problem() -> ParseError {
        var message = parser.pointee.problem.map { String(cString: $0) } ?? "this is no YAML"
        if let context = parser.pointee.context { message += " " + String(cString: context) }
        return failure(message, parser.pointee.problem_mark)
    }

    private func failure(_ message: String, _ mark: yaml_mark_t) -> ParseError {
        ParseError(message: message, line: Int(mark.line) + 1, column: Int(mark.column) + 1)
    }
}
