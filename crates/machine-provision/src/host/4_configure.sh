# Certificates, the unit's drop-in, and the restart that they need.

drop_in=/etc/systemd/system/docker.service.d/10-machine.conf
restart_due=/run/docker-machine-restart # outlives a connection that is lost half-way

differs() {
    tell "fact changed yes"
    [ -e "$R$restart_due" ] || : >"$R$restart_due"
}

put() { # mode, path, text
    if holds "$2" "$3"; then
        chmod "$1" "$R$2"
    else
        differs
        write "$1" "$2" "$3"
    fi
}

# dockerd refuses to start where a flag and its daemon.json say the same thing. Who sent this
# script reads the file and says what to write, once it has seen the very text that is there.
reconcile_daemon_json() {
    json=/etc/docker/daemon.json
    [ -f "$R$json" ] || return 0
    text=$(cat "$R$json")
    if [ "$text" != "$p_daemon_json_seen" ] || [ -z "$p_daemon_json" ]; then
        tell "ask daemon-json"
        printf '%s\n' "$text" | sed 's/^/@machine file /'
        exit 0
    fi
    if [ "$text" != "$p_daemon_json" ]; then
        original=$R$json.before-docker-machine
        tell "run keep $json beside itself"
        [ -e "$original" ] || cp -p "$R$json" "$original"
        put "$(stat -c %a "$R$json")" "$json" "$p_daemon_json"
    fi
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

# Certificates alone help only a dockerd that was told to use them.
see_that_certificates_count() {
    for file in "$drop_in" /etc/docker/daemon.json; do
        if grep -q /etc/docker/server-key.pem "$R$file" 2>/dev/null; then return 0; fi
    done
    fail "Docker on this host is not set up to use the certificates" "docker-machine provision $p_machine"
}

configure_docker() {
    look_at_unit
    tell "stage configure"
    reconcile_daemon_json
    put_certificates
    tell "stage configure Setting Docker configuration on the remote daemon..."
    put 644 "$drop_in" "[Service]
ExecStart=
ExecStart=$dockerd $p_flags${p_environment:+
$p_environment}"
    join_docker_group
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
        journalctl -u docker.service --since "@$begun" -n 20 --no-pager -o cat || :
        fail "docker.service does not start"
    fi
    rm -f "$R$restart_due"
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
