/// What has to be known of a URL to keep credentials out of messages.
enum URLParts {
    /// The user information and the query (a presigned one is a credential), where there are any.
    static func secrets(of url: String) -> [String] {
        var secrets: [String] = []
        let beforeQuery = url.prefix { $0 != "?" && $0 != "#" }
        let query = url.dropFirst(beforeQuery.count + 1)
        if !query.isEmpty { secrets.append(String(query)) }
        if let user = userInformation(beforeQuery) { secrets.append(String(user)) }
        return secrets
    }

    /// The URL without user information and query, for the log.
    static func printable(_ url: String) -> String {
        let beforeQuery = url.prefix { $0 != "?" && $0 != "#" }
        guard let user = userInformation(beforeQuery) else { return String(beforeQuery) }
        return String(beforeQuery[..<user.startIndex] + beforeQuery[user.endIndex...].dropFirst())
    }

    private static func userInformation(_ url: Substring) -> Substring? {
        guard let slash = url.firstIndex(of: "/") else { return nil }
        let authority = url[slash...].drop { $0 == "/" }.prefix { $0 != "/" }
        guard let at = authority.lastIndex(of: "@") else { return nil }
        return authority[..<at]
    }

    /// Why curl should not be given this request; nil if it may.
    static func objection(to request: HTTPRequest) -> String? {
        guard !request.method.isEmpty, request.method.utf8.allSatisfy({ $0 >= 0x41 && $0 <= 0x5A }) else {
            return "the method must be capital letters"
        }
        guard request.url.hasPrefix("http://") || request.url.hasPrefix("https://") else {
            return "the URL must begin with http:// or https://"
        }
        guard request.url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            return "the URL must be percent-encoded"
        }
        for (name, value) in request.headers {
            guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ":") }),
                value.utf8.allSatisfy({ $0 != 0 && $0 != 0x0A && $0 != 0x0D })
            else { return "the header \(name.debugDescription) can't be sent" }
        }
        guard request.method != "HEAD" || request.body.lengthBytes == 0, request.body.lengthBytes >= 0 else {
            return "HEAD has no body"
        }
        return nil
    }
}
