/// Rules of the contract that a server breaks by itself, and why: by server, by the rule's name.
enum Deviations {
    static let known: [String: [String: String]] = [
        "seaweedfs": [
            "keys are listed in the order of their bytes": "lists directory by directory",
            "odd keys": "takes a backslash for a slash and drops carriage returns",
            "odd keys as directories, copied, deleted alone": "takes a backslash for a slash",
            "keys that can be refused are refused or held": "takes a//b for a/b",
            "what is deleted is gone at once": "an empty directory stays listed for a while",
            "an empty directory's marker": "a marker under which there was an object loses its metadata",
        ]
    ]
}
