import ObjectStore
import Primitives
import Tree

/// The next thing to do about one name: decided from what the tree says, without asking anybody.
enum Step: Sendable, Equatable {
    /// Nothing is left.
    case close
    /// A write was begun and its outcome is not known.
    case verify(Attempt)
    /// Another name, or what is below it, is still where this one's object has to go.
    case wait(for: NameID)
    /// Send the content to the wanted key.
    case upload(Condition)
    /// Let the store copy an object with this content to the wanted key.
    case copy(HeldObject, Condition)
    /// A moved directory: find out all that lies at its old place, then let go of it.
    case leave(ByteString)
    /// A directory takes its place, and its children follow.
    case arrive

    var writesAttributes: Bool {
        switch self {
        case .upload, .copy: true
        default: false
        }
    }

    static func next(_ situation: Situation) -> Step {
        if let attempt = situation.attempt { return .verify(attempt) }
        let node = situation.node
        if node.isDirectory, let prefix = node.prefix, prefix != situation.wanted { return .leave(prefix) }
        if let blocker = situation.blocker { return .wait(for: blocker) }
        if node.isDirectory, node.prefix == nil { return .arrive }
        if let owner = situation.occupant?.owner { return .wait(for: owner) }
        if let reader = situation.reader { return .wait(for: reader) }
        let condition = situation.condition
        if let held = situation.held, held.node == node.id, held.content == node.content {
            let isInPlace = held.key == situation.wanted
            if isInPlace, held.attributes == node.attributes {
                return .close
            }
            return situation.isCheapToSend ? .upload(condition) : .copy(held, condition)
        }
        if let twin = situation.twin, !node.isLive { return .copy(twin, condition) }
        // Written twice, the same content would have two names, and elsewhere the file would be two.
        if let sibling = situation.sibling { return .wait(for: sibling) }
        return .upload(condition)
    }
}

extension Situation {
    /// What must hold at the wanted key when it is written.
    var condition: Condition {
        guard let present = occupant ?? (held?.key == wanted ? held : nil) else { return .absent }
        // A directory's empty object has nothing to lose, and some servers know no version of it.
        return node.isDirectory && present.sizeBytes == 0 ? .none : .matches(present.etag)
    }

    /// What this content of the node is called, if an object is known to have it.
    func revision(_ content: Int64) -> String? {
        [held, twin].compactMap { $0 }.first { $0.node == node.id && $0.content == content }?.contentID
    }

    /// Its content is in the tree itself, so sending it costs no more than a copy.
    var isCheapToSend: Bool {
        if node.isDirectory { return (held?.sizeBytes ?? 0) == 0 }
        return !node.isFile
    }
}
