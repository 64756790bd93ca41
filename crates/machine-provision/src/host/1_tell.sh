# Turns this host into a Docker engine that is reachable over TLS. Runs as root, configured by the variables p_*. They
# and this text come on standard input: no secret is an argument or in the environment, and no login shell has to
# understand them. It changes only what differs, and restarts Docker only if something changed.
set -eu
umask 022
R=${MACHINE_ROOT-} # a prefix of all paths: empty, except in tests
PATH=$PATH:$R/usr/local/sbin:$R/usr/local/bin:$R/usr/sbin:$R/usr/bin:$R/sbin:$R/bin:$R/opt/bin
export PATH LC_ALL=C
exec 2>&1 </dev/null

# The sender interprets lines that begin with @machine: "stage" begins a stage, "run" names the command that produces
# the following lines, "fact" is a result, "ask" is a question that ends the script and is answered in the next run,
# "done" is the end; "say", "warn", "fail", "hint" are messages for people.
tell() { printf '@machine %s\n' "$*"; }

fail() { # args: the problem, the remedy
    tell "fail $1"
    [ -z "${2-}" ] || tell "hint $2"
    exit 1
}

run() { tell "run $*"; "$@"; }

have() { command -v "$1" >/dev/null 2>&1; }

scratch=
trap '[ -z "$scratch" ] || rm -rf "$scratch"' EXIT

write() { # args: mode, path, text; writes the file atomically, with its mode from the first byte
    tell "run write $2"
    [ -d "$R${2%/*}" ] || mkdir -p "$R${2%/*}"
    rm -f "$R$2.new"
    (umask 077; printf '%s\n' "$3" >"$R$2.new") || { rm -f "$R$2.new"; return 1; }
    chmod "$1" "$R$2.new"
    # A file that is a mount point (/etc/hosts of a system container) cannot be replaced (rename(2), EBUSY).
    said=$(mv -f "$R$2.new" "$R$2" 2>&1) || overwrite "$R$2" || {
        rm -f "$R$2.new"
        printf '%s\n' "$said"
        return 1
    }
    rm -f "$R$2.new"
    if have restorecon; then restorecon "$R$2" || :; fi
    tell "fact changed yes"
}

overwrite() { # args: a path; writes the text of PATH.new into the file, or leaves it as it was
    former=$(cat "$1") || return 1
    cat "$1.new" >"$1" || {
        # The disk is full; the former text fits again.
        printf '%s\n' "$former" 2>/dev/null >"$1"
        return 1
    }
}

holds() { [ -f "$R$1" ] && [ "$(cat "$R$1")" = "$2" ]; } # args: path, text
