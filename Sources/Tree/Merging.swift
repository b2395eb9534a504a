import Glibc
import LocalDatabase
import ObjectStore
import Primitives

/// What the kernel has to hear about after the bucket's news were taken over.
public enum TreeEvent: Sendable, Equatable {
    /// The name leads to another node, or nowhere.
    case entry(parent: NodeID, name: ByteString)
    case attributes(NodeID)
    /// The node lost its last name.
    case orphan(NodeID)
}

extension Tree {
    /// The ledger's present sequence number: take it before asking the bucket, and give it to the merge, which then
    /// leaves alone what was changed here in the meantime.
    public func sequence() throws(TreeError) -> Int64 {
        try look { connection throws(DatabaseError) in try connection.sequence() }
    }

    /// Takes a part of a delimited listing of `prefix` over into the directory whose children lie there.
    /// Names with local changes win; what they replaced comes to light when they are uploaded.
    public func merge(
        _ page: ListPage, into directory: NodeID, prefix: ByteString, since sequence: Int64, now: Timestamp
    ) throws(TreeError) -> [TreeEvent] {
        try change { change in
            guard try change.connection.node(directory)?.prefix == prefix else { return [] }
            let merge = Merge(change, self, directory, prefix, sequence, now)
            for object in page.objects { try merge.object(object) }
            for prefix in page.prefixes { try merge.directory(prefix) }
            return merge.events
        }
    }

    /// Ends a complete listing: names whose objects were not in it are gone from the bucket. Others get their turn in
    /// between, for a directory may have millions of names.
    /// - Parameter seen: hash values of the listed keys and prefixes.
    /// - Parameter now: asked again at the end: from then on the directory counts as listed.
    public func finishListing(
        of directory: NodeID, prefix: ByteString, seen: Set<Int>, since sequence: Int64, now: () -> Timestamp
    ) throws(TreeError) -> [TreeEvent] {
        var events: [TreeEvent] = []
        var after: NameID? = NameID(0)
        while let from = after {
            let time = now()
            after = try change { change in
                guard try change.connection.node(directory)?.prefix == prefix else { return nil }
                let merge = Merge(change, self, directory, prefix, sequence, time)
                defer { events += merge.events }
                return try merge.removeUnseen(seen, after: from)
            }
        }
        let time = now()
        try change { change in
            guard var node = try change.connection.node(directory), node.prefix == prefix else { return }
            node.listed = time
            try node.update(in: change.connection)
        }
        return events
    }

    /// Takes over what HEAD said of a name's object: another version becomes another node; attributes are learnt.
    /// `target` is a symbolic link's content. Returns the events and whether the attributes are known now.
    public func learn(
        _ id: NameID, _ info: ObjectInfo, target: ByteString?, since sequence: Int64, now: Timestamp
    ) throws(TreeError) -> [TreeEvent] {
        try change { change in
            guard let name = try change.connection.name(id), let held = try change.connection.held(by: id),
                held.key == info.key, let etag = info.etag
            else { return [] }
            let merge = Merge(change, self, name.parent, ByteString(), sequence, now)
            if held.etag != etag {
                guard held.sequence <= sequence else { return [] }
                try merge.changed(held, info)
            }
            try merge.learn(id, info, target)
            return merge.events
        }
    }

    /// Records that a directory has no object of its own: it looks as the defaults say.
    public func learnImplicit(_ directory: NodeID) throws(TreeError) {
        try change { change in
            try change.run("UPDATE nodes SET known = 1 WHERE id = ?", [.int(Int64(directory.raw))])
        }
    }

    /// Records that a name's object is gone from the bucket: without local changes the name goes too.
    public func vanished(_ id: NameID, etag: ETag, since sequence: Int64, now: Timestamp) throws(TreeError)
        -> [TreeEvent]
    {
        try change { change in
            guard let name = try change.connection.name(id), let held = try change.connection.held(by: id),
                held.etag == etag, held.sequence <= sequence
            else { return [] }
            let merge = Merge(change, self, name.parent, ByteString(), sequence, now)
            try merge.gone(name, held)
            return merge.events
        }
    }
}

extension Merge {
    /// Attributes from a HEAD, if nothing was changed here since that object's version.
    fileprivate func learn(_ id: NameID, _ info: ObjectInfo, _ target: ByteString?) throws {
        guard let held = try connection.held(by: id), held.etag == info.etag, let old = try connection.node(held.node),
            let name = try connection.name(id), name.node == old.id
        else { return }
        try change.run(
            "UPDATE objects SET modified = ? WHERE key = ?",
            [.int(info.lastModified.nanoseconds), .blob(held.key.bytes)])
        guard !old.isKnown, old.attributes == held.attributes, old.content == held.content else { return }
        var node = old
        AttributeMapping.apply(info, to: &node, defaults)
        if let target, node.isSymlink {
            node.target = target
            node.sizeBytes = Int64(target.count)
        }
        if !node.isDirectory, try !link(name, held, old, node, info) { return }
        try node.update(in: connection)
    }
}
