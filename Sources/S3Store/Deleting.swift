import Cryptography
import ObjectStore
import Parsing
import Primitives

// DeleteObject and DeleteObjects
extension S3Store {
    public func delete(_ key: ByteString, condition: Condition) async throws(StoreError) {
        try check(key, "delete")
        var request = S3Request("delete", "DELETE", key)
        if condition != .none {
            let abilities = try await s3Capabilities()
            if case .matches(let etag) = condition, abilities.contains(.deletesIfMatch) {
                request.headers.append(("if-match", etag.value))
            } else {
                guard let present = try await present(key, "delete") else { return }
                try Self.check(condition, present, "delete")
            }
        }
        do { _ = try await client.send(request) } catch {
            if error.kind != .notFound { throw error }
        }
    }

    /// Throws unless the condition holds for what is there.
    static func check(_ condition: Condition, _ present: ObjectInfo, _ operation: String) throws(StoreError) {
        switch condition {
        case .none: return
        case .absent: throw StoreError(.conditionFailed, operation, key: present.key, detail: "it exists")
        case .matches(let etag):
            if present.etag == etag { return }
            throw StoreError(.conditionFailed, operation, key: present.key, detail: "another version is there")
        }
    }

    public func delete(_ keys: [ByteString]) async throws(StoreError) -> [StoreError?] {
        guard keys.count <= 1000 else { throw StoreError(.refused, "delete", detail: "more than 1000 keys") }
        let (batch, single) = (keys.filter(Self.fitsIntoXML), keys.filter { !Self.fitsIntoXML($0) })
        var errors = try await deleteBatch(batch)
        for key in single {
            do { try await delete(key, condition: .none) } catch { errors[key] = error }
        }
        return keys.map { errors[$0] }
    }

    private func deleteBatch(_ keys: [ByteString]) async throws(StoreError) -> [ByteString: StoreError] {
        if keys.isEmpty { return [:] }
        let objects = keys.map { "<Object><Key>\(XMLText.escaped($0.description))</Key></Object>" }.joined()
        let body = Array("<Delete xmlns=\"\(XMLText.namespace)\"><Quiet>true</Quiet>\(objects)</Delete>".utf8)
        var request = S3Request("delete", "POST", nil)
        request.query = [("delete", "")]
        // Older servers demand it.
        request.headers = [("content-md5", Base64.encode(MD5.hash(body))), ("content-type", "application/xml")]
        request.body = .bytes(body)
        request.isSlow = true
        let result = try await client.document(request)
        guard result.name == "DeleteResult" else { throw StoreError(.corrupt, "delete", detail: "no DeleteResult") }
        var errors: [ByteString: StoreError] = [:]
        for element in result.all("Error") {
            let key = ByteString(element["Key"]?.text ?? "")
            let refusal = S3Refusal(status: 200, code: element["Code"]?.text, message: element["Message"]?.text)
            if refusal.kind != .notFound { errors[key] = refusal.error("delete", key) }
        }
        return errors
    }

    /// XML 1.0 has no way of writing control characters, and servers differ about the few that it allows.
    private static func fitsIntoXML(_ key: ByteString) -> Bool {
        guard !key.isEmpty, key.text != nil else { return false }
        return key.bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
            && !key.description.unicodeScalars.contains {
                $0.value == 0xfffe || $0.value == 0xffff
            }
    }
}

/// Text within the XML that is sent.
enum XMLText {
    static let namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

    static func escaped(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
