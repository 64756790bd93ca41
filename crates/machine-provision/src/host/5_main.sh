# The main program.

# debconf, needrestart and ucf never prompt, and zypper waits for its lock.
export DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical NEEDRESTART_MODE=a UCF_FORCE_CONFFOLD=1
export ZYPP_LOCK_TIMEOUT=300

look_at_system
case $p_mode in
custom)
    await_cloud_init
    set_host_name
    tell "stage install Running the custom install script..."
    make_scratch
    printf '%s\n' "$p_install_script" >"$scratch/install.sh"
    run_script "$scratch/install.sh" "custom install script"
    tell "fact changed yes"
    tell "done"
    exit 0
    ;;
esac

if [ "$p_mode" = certificates ]; then
    find_dockerd || fail "there is no dockerd" "docker-machine provision $p_machine"
    look_at_unit
    see_that_certificates_count
    put_certificates
    start_docker
    tell "done"
    exit 0
fi

tell "say Provisioning with $os_id..."
find_dockerd || :
# User data may still be about to install or configure Docker.
if [ -z "$dockerd" ] || [ -s "$R/var/lib/cloud/instance/user-data.txt" ]; then
    await_cloud_init
    find_dockerd || :
fi
if [ -z "$dockerd" ]; then
    install_docker
elif [ "$p_mode" = upgrade ]; then
    upgrade_docker
fi
configure_docker
start_docker
# After all that can fail: an existing host that becomes no machine keeps its name.
set_host_name
[ -z "$p_tls" ] || look_at_firewall
tell "fact docker $(docker_version)"
tell "done"
