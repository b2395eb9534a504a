/// Rules of the contract that a server breaks by itself, and why: by server, by the rule's name.
enum Deviations {
    static let known: [String: [String: String]] = [
        "seaweedfs": [
            "keys are listed in the order of their bytes": "lists directory by directory",
            "odd keys": "takes a backslash for a slash and drops carriage returns",
            "odd keys as directories, copied, deleted alone": "takes a backslash for a slash",
            "keys that can be refused are refused or held": "takes a//b for a/b",
            "what is deleted is gone at once": "an empty directory stays listed for a while",
            "an empty directory's marker": "keeps no metadata with a marker",
        ],
        "rclone": [
            "metadata too large is refused": "the file system below has a lower limit",
            "a directory's marker deleted before its files": "takes d/ for a file d",
            "an empty directory's marker": "takes d/ for a file d",
            "a copy keeps the source's metadata": "adds its mtime",
            "a copy with other metadata": "adds its mtime",
            "keys that can be refused are refused or held": "fails on // as an internal error",
        ],
        "ceph": [
            "odd keys": "repeats a prefix with a control character as it is, which is no XML",
            "odd keys as directories, copied, deleted alone": "repeats such a prefix as it is",
        ],
    ]
}
