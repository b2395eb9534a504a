# What the scripts share: sourced by them, with $root set to the project's directory.

build_packages=(
    libfuse3-dev fuse3 libcurl4-openssl-dev libssl-dev libsqlite3-dev libexpat1-dev libyaml-dev
    pkg-config gcc libc6-dev libstdc++-12-dev ca-certificates
)

# need_packages PACKAGE...: installs the Debian packages that are missing; says what to install where it may not.
need_packages() {
    command -v dpkg-query >/dev/null || { echo "not a Debian system: have these installed: $*"; return 0; }
    local missing=() name
    for name in "$@"; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$name")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local as=()
    if [ "$(id -u)" != 0 ]; then
        if sudo -n true 2>/dev/null || { [ -t 0 ] && command -v sudo >/dev/null; }; then
            as=(sudo)
        else
            echo "please install first, as root: apt-get install -y ${missing[*]}" >&2
            return 1
        fi
    fi
    echo "installing ${missing[*]}"
    local log
    log=$(mktemp)
    if "${as[@]}" timeout 300 apt-get -o Acquire::Retries=3 update -q >"$log" 2>&1 \
        && "${as[@]}" env DEBIAN_FRONTEND=noninteractive timeout 600 \
            apt-get install -y -q --no-install-recommends "${missing[@]}" >>"$log" 2>&1 </dev/null; then
        rm -f "$log"
    else
        tail -n 15 "$log" >&2
        echo "could not install ${missing[*]}" >&2
        rm -f "$log"
        return 1
    fi
}

# find_swift: sets $swift to a Swift 6 toolchain's driver. Debian's OpenStack client is called swift, too.
find_swift() {
    local candidate
    while read -r candidate; do
        [ -x "$candidate" ] || continue
        if timeout 60 "$candidate" --version </dev/null 2>&1 | grep -Eq 'Swift version ([6-9]|[1-9][0-9])\.'; then
            swift=$candidate
            return 0
        fi
    done < <(
        echo "${SWIFT:-}"
        type -ap swift || true
        printf '%s\n' /opt/swift/usr/bin/swift "$HOME/.local/share/swiftly/bin/swift" /usr/libexec/swift/*/bin/swift \
            /usr/local/swift/usr/bin/swift /usr/bin/swift
    )
    echo "no Swift 6 toolchain found: install one from swift.org, or name its driver with SWIFT=/path/to/swift" >&2
    return 1
}

# make_venv NAME REQUIREMENTS: a Python environment in .build/venv-NAME, anew when the requirements have changed.
make_venv() {
    local directory=$root/.build/venv-$1 python=/usr/bin/python3
    [ -x $python ] || python=python3
    cmp -s "$2" "$directory/requirements.txt" && return 0
    echo "installing Python packages: $(tr '\n' ' ' <"$2")"
    rm -rf "$directory"
    timeout 120 "$python" -m venv "$directory" \
        && timeout 300 "$directory/bin/pip" install -q --disable-pip-version-check -r "$2" </dev/null \
        && cp "$2" "$directory/requirements.txt"
}

# kill_run ID: ends, by their ids, the processes that a run of the tests has left.
kill_run() {
    local entry pid pass
    # Twice: a keeper may have started a daemon meanwhile.
    for pass in 1 2; do for entry in /proc/[0-9]*; do
        pid=${entry#/proc/}
        [ "$pid" = $$ ] || [ "$pid" = "$BASHPID" ] && continue
        if grep -qsz "^PAIL_TEST_RUN=$1\$" "$entry/environ" 2>/dev/null; then kill -KILL "$pid" 2>/dev/null; fi
    done; done
}

# apart COMMAND...: in namespaces of its own, as far as that is allowed: then no mount and no process outlives it.
apart() {
    if [ "$(id -u)" = 0 ] && unshare -m -p -f --mount-proc true 2>/dev/null; then
        # The shell is the first process in there and takes in the orphans; /run/pail is where root's mounts are noted.
        unshare -m -p -f --mount-proc --kill-child --propagation private bash -c '
            mkdir -p /run/pail && mount -t tmpfs -o mode=700 pail-tests /run/pail
            "$@"
            exit $?' apart "$@"
    else
        "$@"
    fi
}
