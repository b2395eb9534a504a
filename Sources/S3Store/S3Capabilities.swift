import ObjectStore

/// What a bucket's server was found to do (see `CapabilityProbe`). Can be kept as text between mounts.
public struct S3Capabilities: Sendable, Equatable {
    public enum Ability: String, Sendable, CaseIterable {
        /// `If-None-Match: *` and `If-Match` are enforced, per kind of request.
        case putsIfAbsent, putsIfMatch, completesIfAbsent, completesIfMatch, copiesIfAbsent, copiesIfMatch
        case deletesIfMatch
        /// CompleteMultipartUpload tells the ETag that the object then has.
        case completesWithETag
        /// UploadPartCopy gives the bytes asked for.
        case copiesRanges
        /// A wrong `x-amz-checksum-crc32c` is refused.
        case verifiesChecksums
        /// `a`, `a/` and `a/b` can exist at once, and `a/` keeps its metadata.
        case keepsDirectoryMarkers
        /// `a/` alone can be written and is not taken for a file `a`.
        case acceptsDirectoryMarkers
    }

    public var abilities: Set<Ability>

    public init(_ abilities: Set<Ability>) { self.abilities = abilities }

    /// What can be relied on where nothing is known.
    public static let cautious = S3Capabilities([])

    public func contains(_ ability: Ability) -> Bool { abilities.contains(ability) }

    public var store: StoreCapabilities {
        var store = StoreCapabilities()
        store.writesIfAbsent = contains(.putsIfAbsent) && contains(.completesIfAbsent)
        store.writesIfMatch = contains(.putsIfMatch) && contains(.completesIfMatch)
        store.copiesRanges = contains(.copiesRanges)
        store.verifiesChecksums = contains(.verifiesChecksums)
        store.keepsDirectoryMarkers = contains(.keepsDirectoryMarkers)
        store.acceptsDirectoryMarkers = contains(.acceptsDirectoryMarkers)
        store.rangeGranularityBytes = PartPlan.minimumPartBytes
        store.maximumMetadataBytes = NewObject.maximumMetadataBytes
        return store
    }

    /// A line `ability=yes` or `ability=no` for each.
    public var text: String {
        Ability.allCases.map { "\($0.rawValue)=\(contains($0) ? "yes" : "no")\n" }.joined()
    }

    /// nil unless the text says something about every ability: another version has other questions.
    public init?(text: String) {
        var known: [Ability: Bool] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: "=")
            guard parts.count == 2, let ability = Ability(rawValue: String(parts[0])) else { return nil }
            guard parts[1] == "yes" || parts[1] == "no" else { return nil }
            known[ability] = parts[1] == "yes"
        }
        guard known.count == Ability.allCases.count else { return nil }
        abilities = Set(known.filter(\.value).keys)
    }
}
