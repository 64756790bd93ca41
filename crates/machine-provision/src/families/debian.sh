# Debian 10 to 13, Ubuntu 18.04 to 26.04, and their derivatives. Docker's script supports all of them, by name or
# through lsb_release (docker/docker-install, install.sh). Locks: apt and dpkg take them by fcntl(2), on the files
# that apt(8) and dpkg(1) name. Package: docker.io, in Debian's main and Ubuntu's universe; docker-ce where Docker's
# own package was installed.

debian_busy() {
    locked /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock
}

debian_is_known_to_default_script() { return 0; }

debian_install() { # args: a release; default: the newest
    run apt-get -q update
    package=docker.io
    if dpkg-query -W -f '${Status}' docker-ce 2>/dev/null | grep -q ' installed$'; then package=docker-ce; fi
    version=
    if [ -n "$1" ]; then
        pattern=$(printf '%s\n' "$1" | sed 's/\./[.]/g')
        version=$(apt-cache madison "$package" | sed -n 's/^[^|]*| *\([^ |]*\) .*/\1/p' |
            grep -E "^([0-9]+:)?$pattern([^0-9]|\$)" | head -n 1) || :
        [ -n "$version" ] || fail "no release $1 of $package is to be had" \
            "see what there is: apt-cache madison $package"
    fi
    set -- "$package${version:+=$version}"
    [ "$package" != docker-ce ] || set -- "$1" "docker-ce-cli${version:+=$version}" containerd.io
    run apt-get -q -y --no-install-recommends ${version:+--allow-downgrades} install "$@"
}
