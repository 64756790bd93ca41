# Certificates, the unit's drop-in, and the restart for them.

drop_in=/etc/systemd/system/docker.service.d/10-machine.conf
json=/etc/docker/daemon.json
json_original=$json.before-docker-machine
json_written=$json.by-docker-machine
# Exists from the first difference until the restart: it survives a connection that is lost half-way. If the engine
# runs, it holds the files with which the engine runs.
restart_due=/run/docker-machine-restart

differs() {
    tell "fact changed yes"
    [ ! -e "$R$restart_due" ] || return 0
    rm -rf "$R$restart_due.new"
    (umask 077; mkdir "$R$restart_due.new")
    if systemctl is-active -q docker.service; then
        for file in $managed; do
            [ ! -e "$R$file" ] || cp -p "$R$file" "$R$restart_due.new/${file##*/}"
        done
        : >"$R$restart_due.new/worked"
    fi
    mv "$R$restart_due.new" "$R$restart_due"
}
managed="$drop_in $json $json_original $json_written /etc/docker/ca.pem /etc/docker/server.pem
    /etc/docker/server-key.pem"

put() { # args: mode, path, text
    if holds "$2" "$3"; then
        chmod "$1" "$R$2"
    else
        differs
        write "$1" "$2" "$3"
    fi
}

ask() { # args: a question, and the texts for it
    tell "ask $1"
    printf '%s\n' "$2" | sed 's/^/@machine file /'
    exit 0
}

section() { # args: a name, a file
    printf '@%s\n' "$1"
    sed 's/^/=/' "$R$2"
    # A last line without a line feed.
    [ -z "$(tail -c 1 "$R$2")" ] || echo
}

# dockerd refuses to start if a flag and its daemon.json set the same option. The sender of this script merges them:
# it reads the current text, and answers with the text to write.
reconcile_daemon_json() {
    [ -f "$R$json" ] || return 0
    texts=$(
        section current "$json"
        for name in original written; do
            eval "file=\$json_$name"
            [ ! -f "$R$file" ] || section "$name" "$file"
        done
    )
    [ "$texts" = "$p_daemon_json_seen" ] || ask daemon-json "$texts"
    if ! holds "$json" "$p_daemon_json"; then
        mode=$(stat -c %a "$R$json")
        put "$mode" "$json_original" "$p_daemon_json_original"
        put "$mode" "$json_written" "$p_daemon_json"
        put "$mode" "$json" "$p_daemon_json"
    fi
}

# The drop-in replaces the unit's command line: options that the unit passes to dockerd itself (--data-root,
# $DOCKER_OPTS, a GPU's runtime) are repeated after the flags of this program. Not on a host that has run without them
# since the Go docker-machine wrote the drop-in: there, restoring a data root would hide all images.
inherits="# Behind docker-machine's own flags stands what docker.service passes itself."
inherit_options() { # sets inherited: the words, and inherits_unit: whether they come from the unit
    inherited= inherits_unit=yes driver=
    if [ -f "$R$drop_in" ]; then
        # The Go docker-machine chose a storage driver, and recorded nothing. Another one would hide all images.
        if [ -z "$p_storage_driver" ] && ! grep -q '"storage-driver"' "$R$json" 2>/dev/null; then
            driver=$(sed -n 's/^ExecStart=.* --storage-driver[ =]\([a-z0-9-]*\).*/\1/p' "$R$drop_in")
        fi
        if ! grep -qxF "$inherits" "$R$drop_in"; then
            inherited=${driver:+--storage-driver $driver} inherits_unit=
            return 0
        fi
    fi
    base=$(unit_texts)
    if [ "$base" = "$p_unit_seen" ]; then
        inherited=$p_inherited
    elif ! plain_options; then
        ask unit "$base"
    fi
    [ -n "$inherited" ] || inherits_unit=
}

unit_texts() { # prints the unit's files except this program's, and the environment files that they name
    drop_ins=$(systemctl show -p DropInPaths docker.service) || drop_ins=
    units=$(
        for file in "$unit" ${drop_ins#DropInPaths=}; do
            if [ "$file" != "$drop_in" ] && [ -f "$R$file" ]; then section "unit $file" "$file"; fi
        done
    )
    printf '%s\n' "$units"
    printf '%s\n' "$units" | sed -n 's/^=EnvironmentFile=-\{0,1\}//p' | while read -r pattern; do
        for file in $R$pattern; do
            file=${file#"$R"}
            if [ -f "$R$file" ]; then section "environment $file" "$file"; fi
        done
    done
    [ -z "$driver" ] || printf '@storage-driver %s\n' "$driver"
}

# Most units need no question: docker.socket's listener yields to this program's, containerd's option stays, and so
# does a variable that is not set anywhere.
plain_options() {
    [ -z "$driver" ] || return 1
    line=$(printf '%s\n' "$base" | sed -n 's/^=[[:space:]]*ExecStart[[:space:]]*=[[:space:]]*//p' | tail -n 1)
    case $line in *[\\\"\'%{]*) return 1 ;; esac
    set -f
    # shellcheck disable=SC2086
    set -- $line
    set +f
    case ${1-} in */dockerd) shift ;; *) return 1 ;; esac
    while [ $# -gt 0 ]; do
        case $1 in
        -H | --host) [ "${2-}" = fd:// ] || return 1; shift ;;
        --host=fd:// | -H=fd:// | -Hfd://) ;;
        *?'$'*) return 1 ;;
        --containerd=*) inherited="$inherited $1" ;;
        '$'?*)
            if printf '%s\n' "$base" "$p_environment" | grep -v '^=[[:space:]]*[#;]' | grep -qF "${1#?}="; then
                return 1
            fi
            inherited="$inherited $1"
            ;;
        *) return 1 ;;
        esac
        shift
    done
    inherited=${inherited# }
}

look_at_unit() {
    [ "$load_state" != masked ] || fail "docker.service is masked" "unmask it: systemctl unmask docker.service"
    [ -n "$unit" ] || fail "there is $dockerd, but no docker.service that runs it" \
        "install Docker with its systemd unit"
}

put_certificates() {
    tell "stage configure Copying certs to the remote machine..."
    put 644 /etc/docker/ca.pem "$p_ca"
    put 644 /etc/docker/server.pem "$p_server"
    put 600 /etc/docker/server-key.pem "$p_key"
}

# Certificates alone have no effect if dockerd is not configured to use them.
see_that_certificates_count() {
    for file in "$drop_in" "$json"; do
        if grep -q /etc/docker/server-key.pem "$R$file" 2>/dev/null; then return 0; fi
    done
    fail "Docker on this host is not set up to use the certificates" "docker-machine provision $p_machine"
}

configure_docker() {
    look_at_unit
    tell "stage configure"
    join_docker_group
    # Without options, a Docker that nobody reaches over the network stays as it is.
    [ -n "$p_flags" ] || return 0
    inherit_options
    reconcile_daemon_json
    [ -z "$p_tls" ] || put_certificates
    tell "stage configure Setting Docker configuration on the remote daemon..."
    put 644 "$drop_in" "${inherits_unit:+$inherits
}[Service]
ExecStart=
ExecStart=$dockerd $p_flags${inherited:+ $inherited}${p_environment:+
$p_environment}"
}

# The login user may use Docker without sudo, from the next login on.
join_docker_group() {
    user=${SUDO_USER-}
    [ -n "$user" ] && [ "$user" != root ] && grep -q '^docker:' "$R/etc/group" 2>/dev/null || return 0
    case " $(id -nG "$user") " in *" docker "*) return 0 ;; esac
    run usermod -aG docker "$user" || tell "warn $user could not be added to the group docker"
}

# docker.socket stays as it is: dockerd takes over the path of its socket when it starts.
start_docker() {
    tell "stage start"
    state=" $(systemctl show -p ActiveState -p UnitFileState -p NeedDaemonReload docker.service | tr '\n' ' ')"
    case $state in *" UnitFileState=disabled "*) run systemctl enable docker.service; tell "fact changed yes" ;; esac
    case $state in
    *" ActiveState=active "*)
        case $state in *" NeedDaemonReload=yes "*) differs ;; esac
        [ -e "$R$restart_due" ] || return 0
        ;;
    esac
    run systemctl daemon-reload
    see_that_drop_in_counts
    case $state in *" ActiveState=failed "*) run systemctl reset-failed docker.service ;; esac
    tell "fact restarted yes"
    begun=$(date +%s)
    if ! run timeout 300 systemctl restart docker.service || ! systemctl is-active -q docker.service; then
        echo "journal of docker.service:"
        # With --since, -n counts from the beginning.
        journalctl -u docker.service --since "@$begun" --no-pager -o cat | tail -n 200 || :
        put_former_back
        fail "docker.service does not start"
    fi
    rm -rf "$R$restart_due"
}

# If the engine ran before, restores the previous configuration. Prints nothing in between: the cause comes first.
put_former_back() {
    [ -e "$R$restart_due/worked" ] || return 0
    for file in $managed; do
        former=$R$restart_due/${file##*/}
        if [ -e "$former" ]; then
            cp -p "$former" "$R$file.new" && mv -f "$R$file.new" "$R$file"
        else
            rm -f "$R$file"
        fi
    done
    systemctl daemon-reload
    systemctl reset-failed docker.service || :
    if timeout 300 systemctl restart docker.service >/dev/null 2>&1 && systemctl is-active -q docker.service; then
        rm -rf "$R$restart_due"
        tell "warn Docker on $p_machine runs again, with the settings that it had before"
    else
        tell "warn Docker on $p_machine does not start with the settings that it had before, either"
    fi
}

see_that_drop_in_counts() {
    drop_ins=$(systemctl show -p DropInPaths docker.service)
    ours=
    for file in ${drop_ins#DropInPaths=}; do
        case $file in */10-machine.conf) ours=yes; continue ;; esac
        if [ -n "$ours" ] && grep -q '^ExecStart=' "$R$file" 2>/dev/null; then
            fail "$file replaces the command line that this machine needs" \
                "remove ExecStart= from $file, or give it as --engine-opt"
        fi
    done
}

look_at_firewall() {
    hidden=
    if systemctl is-active -q firewalld.service; then
        firewall-cmd -q --query-port="$p_port/tcp" || {
            hidden=firewalld
            opened_by="firewall-cmd --permanent --add-port=$p_port/tcp && firewall-cmd --add-port=$p_port/tcp"
        }
    elif grep -q '^ENABLED=yes' "$R/etc/ufw/ufw.conf" 2>/dev/null && have ufw; then
        ufw status | grep -Eq "^$p_port(/tcp)? .*ALLOW" || {
            hidden=ufw
            opened_by="ufw allow $p_port/tcp"
        }
    fi
    [ -n "$hidden" ] || return 0
    if [ -n "$p_open_firewall" ]; then
        tell "run $opened_by"
        eval "$opened_by"
        tell "fact changed yes"
    else
        tell "fact firewall $hidden $opened_by"
    fi
}
