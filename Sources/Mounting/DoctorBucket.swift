import Configuration
import ObjectStore
import Primitives
import Tree

/// What a mount needs of the bucket.
struct BucketExamination: Sendable {
    /// Keys that are looked at, from the first on.
    private static let maximumKeys = 10_000
    private static let shownKeys = 3

    let configuration: MountConfiguration
    let backend: Backend

    func run(_ report: (Finding) -> Void) async {
        do throws(MountFailure) {
            try await backend.check(configuration)
        } catch {
            return report(Finding(.fail, "list", error.message))
        }
        report(Finding(.ok, "list", "\(configuration.bucket?.description ?? "the bucket") can be listed"))
        if configuration.readOnly {
            report(Finding(.ok, "write", "not tried: the mount is read-only"))
        } else if await tryOut(report) {
            await capabilities(report)
        }
        await keys(report)
    }

    /// Writes an object, reads it and removes it. False if that fails.
    private func tryOut(_ report: (Finding) -> Void) async -> Bool {
        let key = ByteString(".pail/probe-doctor-\(UInt64.random(in: 0...UInt64.max))")
        let content = Array("written by pail doctor\n".utf8)
        let store = backend.plain
        var subject = "write"
        var failed = false
        do throws(StoreError) {
            _ = try await store.write(
                UploadPlan(bytes: content), to: key, metadata: ["pail-probe": "doctor"], contentType: nil,
                condition: .none)
            report(Finding(.ok, subject, "objects can be written"))
            subject = "read"
            let body = try await store.read(key, range: nil, ifMatch: nil)
            guard body.bytes == content else {
                throw StoreError(.corrupt, "read", detail: "other bytes come back than were written")
            }
            let info = try await store.head(key)
            if info.metadata?["pail-probe"] == "doctor" {
                report(Finding(.ok, subject, "objects and their metadata can be read"))
            } else {
                report(
                    Finding(
                        .warn, subject, "the service loses metadata: modes, owners and times will not survive a remount"
                    ))
            }
        } catch {
            report(Finding(.fail, subject, Backend.failure(error, configuration).message))
            failed = true
        }
        if failed, subject == "write" { return false }
        do throws(StoreError) {
            try await store.delete(key, condition: .none)
            report(Finding(.ok, "delete", "objects can be removed"))
        } catch {
            report(
                Finding(
                    .fail, "delete", Backend.failure(error, configuration).message,
                    remedy: "remove \(key) when it is allowed"))
            return false
        }
        return !failed
    }

    private func capabilities(_ report: (Finding) -> Void) async {
        let found: StoreCapabilities
        do throws(StoreError) {
            found = try await backend.plain.capabilities()
        } catch {
            return report(Finding(.warn, "abilities", "can't be found out: \(error)"))
        }
        // Directories of a local bucket are directories.
        var isLocal = false
        if case .local? = configuration.bucket { isLocal = true }
        let abilities: [(Bool, String, String)] = [
            (
                found.writesIfAbsent && found.writesIfMatch, "conditional writes",
                "two writers may overwrite each other unseen within moments"
            ),
            (found.copiesRanges, "copies of parts", "a small change in a large object uploads all of it"),
            (found.verifiesChecksums, "checksums", "damage on the way up shows only when the object is read back"),
            (
                found.keepsDirectoryMarkers || isLocal, "directory markers",
                "empty directories and the modes of directories may be lost"
            ),
        ]
        let present = abilities.filter(\.0).map(\.1)
        if !present.isEmpty { report(Finding(.ok, "abilities", present.joined(separator: ", "))) }
        for (isPresent, name, loss) in abilities where !isPresent {
            report(Finding(.warn, "abilities", "no \(name): \(loss)"))
        }
    }

    /// Keys that no path can show as they are.
    private func keys(_ report: (Finding) -> Void) async {
        var seen = 0
        var odd: [ByteString] = []
        var next: String?
        repeat {
            let page: ListPage
            do throws(StoreError) {
                let from = next.map { ListPosition.page($0) }
                page = try await backend.plain.list(prefix: "", delimited: false, from: from, limit: 1000)
            } catch {
                return report(Finding(.warn, "keys", "the listing ends early: \(error)"))
            }
            seen += page.objects.count
            odd += page.objects.map(\.key).filter(Self.isOdd)
            next = page.next
        } while next != nil && seen < Self.maximumKeys
        let range = next == nil ? "\(seen)" : "the first \(seen)"
        guard !odd.isEmpty else { return report(Finding(.ok, "keys", "\(range) looked at, all can be shown as paths")) }
        let shown = odd.prefix(Self.shownKeys).map(\.description).joined(separator: "  ")
        report(
            Finding(
                .warn, "keys", "\(odd.count) of \(range) are shown under escaped names (docs/KEYS.md): \(shown)"))
    }

    static func isOdd(_ key: ByteString) -> Bool {
        var parts = key.split(separator: UInt8(ascii: "/"))
        // `a/` is how a directory is marked.
        if parts.count > 1, parts.last?.isEmpty == true { parts.removeLast() }
        return key.text == nil || parts.contains { KeyMapping.shownName($0) != $0 }
    }
}
