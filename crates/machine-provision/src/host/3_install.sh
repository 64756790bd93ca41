# Docker itself: detection, installation, and change of release.

find_dockerd() { # sets dockerd, unit and load_state; the unit takes precedence over the search path
    unit=$(systemctl show -p FragmentPath docker.service) || unit=
    unit=${unit#FragmentPath=}
    load_state=$(systemctl show -p LoadState docker.service) || load_state=
    load_state=${load_state#LoadState=}
    started=
    if [ -r "$R$unit" ] && [ -f "$R$unit" ]; then
        started=$(sed -n 's/^ExecStart=[-@:+!]*\(\/[^ ]*\).*/\1/p' "$R$unit" | tail -n 1)
    fi
    for dockerd in "$started" "$(command -v dockerd || :)" /usr/bin/dockerd /usr/sbin/dockerd \
        /usr/local/bin/dockerd /usr/local/sbin/dockerd /opt/bin/dockerd /usr/bin/dockerd-current; do
        dockerd=${dockerd#"$R"}
        case $dockerd in */dockerd | */dockerd-*) if [ -x "$R$dockerd" ]; then return 0; fi ;; esac
    done
    dockerd=
    return 1
}

docker_version() { "$R$dockerd" --version | sed -n 's/^Docker version \([^ ,]*\).*/\1/p'; }

fetch() { # args: URL, file, the URL for display
    if have curl; then
        tell "run curl $3"
        curl -fsSL --connect-timeout 20 --max-time 120 --retry 2 -o "$2" "$1"
    elif have wget; then
        tell "run wget $3"
        wget -q -T 20 -t 3 -O "$2" "$1"
    else
        return 1
    fi
}

run_script() { # args: file, its name
    tell "run $2"
    if [ -n "$p_engine_version" ]; then VERSION=$p_engine_version sh "$1"; else sh "$1"; fi
}

make_scratch() { scratch=$(mktemp -d "$R/tmp/docker-machine.XXXXXX"); }

take_turn() { # waits for the package manager
    await_packages
    make_scratch
    # Makes apt-get of any script wait for the lock. Older releases of apt do not support the option.
    echo 'DPkg::Lock::Timeout "300";' >"$scratch/apt.conf"
    export APT_CONFIG="$scratch/apt.conf"
}

install_docker() {
    take_turn
    tell "stage install Installing Docker..."
    how=$p_install
    if [ "$how" = url ] && [ -n "$p_install_default" ] && ! "${family}_is_known_to_default_script"; then
        how=package
    fi
    case $how in
    url)
        if fetch "$p_install_url" "$scratch/install.sh" "$p_install_name"; then
            run_script "$scratch/install.sh" "$p_install_name"
        else
            tell "ask install-script"
            exit 0
        fi
        ;;
    ask)
        tell "ask install-script"
        exit 0
        ;;
    script)
        printf '%s\n' "$p_install_script" >"$scratch/install.sh"
        run_script "$scratch/install.sh" "$p_install_name"
        ;;
    shell) # the Go docker-machine ran it in the login shell, usually bash
        have bash || fail "--engine-install-url is a line of shell, and this host has no bash" \
            "give a URL alone, and --engine-version for the release"
        tell "run $p_install_name | sh"
        VERSION=$p_engine_version bash -c "curl -sSL $p_install_url | sh -"
        ;;
    package) "${family}_install" "$p_engine_version" ;;
    esac
    find_dockerd || fail "the installation ended without an error, but there is no dockerd" \
        "run it by hand on the host, or use an image with Docker"
    tell "fact installed yes"
    tell "fact changed yes"
}

upgrade_docker() {
    before=$(docker_version)
    take_turn
    tell "stage install"
    "${family}_install" "$p_engine_version"
    find_dockerd || fail "there is no dockerd any more" "install Docker on the host by hand"
    if [ "$(docker_version)" != "$before" ]; then
        tell "fact installed yes"
        differs
    fi
}
