# Detects the host's system, and waits for its first boot.

os_release() { # args: a field; os-release(5) specifies sourcing the file
    for file in "$R/etc/os-release" "$R/usr/lib/os-release"; do
        [ -r "$file" ] || continue
        (unset ID ID_LIKE VERSION_ID; . "$file" >/dev/null; eval "printf '%s' \"\${$1-}\"")
        return
    done
}

look_at_system() {
    tell "stage detect"
    os_id=$(os_release ID) os_like=$(os_release ID_LIKE) os_version=$(os_release VERSION_ID)
    family=$(family_of "$os_id $os_like")
    tell "fact os_id $os_id"
    tell "fact os_like $os_like"
    tell "fact os_version $os_version"
    tell "fact family $family"
    # sd_booted(3)
    [ -d "$R/run/systemd/system" ] ||
        fail "this system (${os_id:-no os-release}) does not run systemd" "use an image that does"
}

await_cloud_init() { # for at most ten minutes
    have cloud-init || return 0
    [ ! -e "$R/run/cloud-init/result.json" ] && [ ! -e "$R/run/cloud-init/disabled" ] || return 0
    tell "stage boot Waiting for cloud-init..."
    status=0
    timeout 600 cloud-init status --wait >/dev/null 2>&1 || status=$?
    case $status in
    0 | 2) ;; # 2: done, with recoverable errors
    124) tell "warn cloud-init is still running after ten minutes: continuing without it" ;;
    *) tell "warn cloud-init ended with an error: see 'cloud-init status --long' on the host" ;;
    esac
}

# fcntl(2) locks, which apt, dpkg and rpm use, are listed in /proc/locks with the file's inode.
locked() { # args: paths
    for file; do
        [ -e "$R$file" ] || continue
        inode=$(stat -c %i "$R$file") || continue
        holder=$(sed -n "s/.* \([0-9]*\) [^ ]*:$inode .*/\1/p" "$R/proc/locks" 2>/dev/null | head -n 1)
        [ -z "$holder" ] || return 0
    done
    return 1
}

alive() { # args: a file with a process id, as yum and zypper write it
    [ -s "$R$1" ] || return 1
    holder=$(tr -cd 0-9 <"$R$1")
    [ -n "$holder" ] && [ -d "$R/proc/$holder" ]
}

await_packages() { # for at most five minutes
    "${family}_busy" || return 0
    tell "stage boot Waiting for the package manager..."
    left=300
    while "${family}_busy"; do
        [ "$left" -gt 0 ] || fail "the package manager is still locked by process $holder after five minutes" \
            "see what it does: ps -fp $holder"
        left=$((left - 1))
        sleep 1
    done
}

set_host_name() {
    tell "stage hostname"
    if ! holds /etc/hostname "$p_hostname"; then write 644 /etc/hostname "$p_hostname"; fi
    if [ "$(uname -n)" != "$p_hostname" ]; then
        if have hostname; then run hostname "$p_hostname"; else run hostnamectl set-hostname "$p_hostname"; fi
        tell "fact changed yes"
    fi
    hosts=$(cat "$R/etc/hosts" 2>/dev/null || :)
    # A line that already has the host's name, with a domain or another address, stays.
    name=$(printf '%s\n' "$p_hostname" | sed 's/\./[.]/g')
    if printf '%s\n' "$hosts" | grep -Eiq "^[[:space:]]*[^#[:space:]][^#]*[[:space:]]$name([[:space:]#]|\$)"; then
        return 0
    fi
    # Debian's convention for the host's own name: 127.0.1.1.
    if printf '%s\n' "$hosts" | grep -q '^127\.0\.1\.1[[:space:]]'; then
        hosts=$(printf '%s\n' "$hosts" | sed "s/^127\.0\.1\.1[[:space:]].*/127.0.1.1 $p_hostname/")
    else
        hosts="${hosts:+$hosts
}127.0.1.1 $p_hostname"
    fi
    write 644 /etc/hosts "$hosts"
}
