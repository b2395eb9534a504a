import Configuration
import Mounting

/// What `pail help` says.
enum Help {
    static let overview = """
        pail mounts a bucket as a directory: what you write there is on the local disk at once and in the bucket soon.

          pail mount BUCKET DIR [options]   mount BUCKET on the empty directory DIR
          pail umount DIR                   upload what is left, then unmount
          pail flush [PATH]                 wait until everything, or PATH, is in the bucket
          pail status [DIR]                 show each mount: what is cached, what still has to go up, errors
          pail doctor BUCKET [options]      check this machine and the bucket, with a remedy for each fault
          pail cache list|verify|export|remove
                                            what lies in the caches on this disk: show, check, save or remove it
          pail version                      show the version
          pail help COMMAND                 explain a command, with examples

        BUCKET is s3://NAME[/PREFIX], or the /PATH of a local directory that is to serve as a bucket.

        A first try, without a service:
          mkdir bucket dir
          pail mount ./bucket dir
          echo hello > dir/greeting
          pail umount dir
          cat bucket/greeting

        Exit codes:
        \(exitCodes)
        """

    private static var exitCodes: String {
        ExitCode.allCases.map { "  \($0.rawValue)  \($0.meaning)" }.joined(separator: "\n")
    }

    static func suggestion(for command: String) -> String {
        Suggestion.hint(for: command, among: Program.Name.allCases.map(\.rawValue))
    }

    static func text(of name: Program.Name) -> String {
        switch name {
        case .mount: mount
        case .umount: umount
        case .flush: flush
        case .status: status
        case .doctor: doctor
        case .cache: cache
        case .version: "pail version\n\nShows which version of pail this is."
        case .help: overview
        }
    }

    private static var mount: String {
        """
        pail mount BUCKET DIR [options]
        pail mount --config FILE [DIR] [options]

        Mounts BUCKET on the empty directory DIR and goes on in the background. Returns when the mount answers, or says
        in one line why it can't. Files written to DIR are safe on the local disk when the writing call returns (after
        fsync even from a power cut), and are uploaded in the background; pail umount and pail flush wait for that.

        Examples:
          pail mount s3://my-bucket ~/data
          pail mount s3://my-bucket/photos ~/photos --profile work --read-only
          pail mount s3://my-bucket /mnt/x --endpoint https://minio.example.org:9000 --cache-limit 50GiB
          pail mount --config /etc/pail/team.yaml
          in /etc/fstab:  s3://my-bucket  /mnt/x  pail  _netdev,config=/etc/pail/team.yaml  0 0

        Credentials are looked for in this order: --password-file, --profile, the environment (AWS_ACCESS_KEY_ID,
        AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN), the default profile in ~/.aws. They can't be given as options, where
        other users could see them.

        Options (in a file: the key in parentheses, see mount-configs for samples):
          -f, --foreground     stay in the foreground and log to stderr
          -c, --config FILE    read a YAML file first; options win over it
          -o OPTION[,...]      the options below as mount(8) passes them: -o ro,cache_limit=20GiB
        \(settings)
        """
    }

    private static var settings: String {
        Settings.all.filter { !$0.isPositional }.map { setting in
            let value = setting.isFlag ? "" : " \(setting.placeholder)"
            return "  --\(setting.option)\(value)  (\(setting.key))\n      \(setting.help)"
        }.joined(separator: "\n")
    }

    private static let umount = """
        pail umount DIR [--timeout TIME] [--force]

        Uploads what is not in the bucket yet, showing how much is left, then unmounts DIR. If it gives up, DIR stays
        mounted, and uploads go on.

          -t, --timeout TIME   give up after this long (seconds, or 2m): exit code 3
          -f, --force          then unmount all the same, also if files are open: what is left is kept in the cache
                               directory, and the next mount of the bucket carries on with it

        A plain umount DIR or fusermount3 -u DIR works, too: the daemon then finishes the uploads in the background.

        Examples:
          pail umount ~/data
          pail umount ~/data --timeout 5m --force
        """

    private static let flush = """
        pail flush [PATH] [--timeout TIME]

        Returns when everything that was written before is in the bucket: of all mounts, or of the mount, directory or
        file that PATH names.

          -t, --timeout TIME   give up after this long (seconds, or 2m): exit code 3, uploads go on

        Examples:
          cp report.pdf ~/data && pail flush ~/data/report.pdf
          pail flush
        """

    private static let status = """
        pail status [DIR] [--json]

        Shows each mount, or the one on DIR: its bucket, what is cached, what still has to go up, the last error.

          --json   as an array of objects; sizes in bytes

        Examples:
          pail status
          pail status ~/data --json
        """

    private static let cache = """
        pail cache list [CACHE] [--json]
        pail cache verify CACHE
        pail cache export CACHE DIR
        pail cache remove CACHE [--discard]

        Looks after the caches on this disk. CACHE is a cache directory, one that was set aside in it, or a bucket's
        address; list without one shows all of this user. A cache that a mount finds damaged is set aside, never deleted
        while it holds what the bucket doesn't have.

          list     what each holds, what of it isn't in the bucket, whether it is mounted or why it was set aside;
                   --json as an array of objects, sizes in bytes
          verify   whether database, page maps and contents fit together; exit code 1 and a line for each fault if not
          export   writes what isn't in the bucket to DIR, which must be new or empty: to files/ under its paths, to
                   lost+found/ where no path is known, and a report with a line for each file and what of it is missing
          remove   deletes a cache that holds nothing but what the bucket has (else exit code 3), or any with --discard

        verify, export and remove are for caches that aren't in use: unmount first. The changes in a cache that is not
        damaged go to the bucket by mounting it again.

        Examples:
          pail cache list
          pail cache verify s3://my-bucket
          pail cache export ~/.cache/pail/my-bucket-0123456789abcdef/set-aside/20260102T030405Z ~/rescued
        """

    private static var doctor: String {
        """
        pail doctor BUCKET [options]

        Checks whether BUCKET can be mounted here: /dev/fuse, the cache directory, the network, the clock, the
        credentials, each permission that is needed, and what the service can and can't do. One line a check, `ok`,
        `warn` or `fail`, with what to do about it. Writes and removes a few objects under .pail/ in the bucket, unless
        --read-only. Exit code 1 if one check fails. Takes the options of pail mount.

        Examples:
          pail doctor s3://my-bucket
          pail doctor s3://my-bucket --endpoint https://minio.example.org:9000 --profile work
          pail doctor --config /etc/pail/team.yaml
        """
    }
}
