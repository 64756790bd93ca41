# Runs $machine_script by sh as root: directly, by sudo, or by sudo on a terminal of its own where
# sudoers has "requiretty". It never asks for a password.
if [ "$(id -u)" -eq 0 ]; then exec sh -c "$machine_script"; fi
if ! command -v sudo >/dev/null 2>&1; then
    echo "@machine fail $(id -un) is not root, and there is no sudo"
    echo "@machine hint log in as root, or install sudo and let $(id -un) use it without a password"
    exit 1
fi
refusal=$(LC_ALL=C sudo -n true 2>&1) && exec sudo -n sh -c "$machine_script"
case $refusal in *"must have a tty"*)
    if ! command -v script >/dev/null 2>&1; then
        echo "@machine fail sudo wants a terminal (requiretty), and there is no script(1) to make one"
        echo "@machine hint take requiretty out of sudoers, or log in as root"
        exit 1
    fi
    export machine_script
    exec 3<&0 4>&1
    script -qec 'exec sudo -n sh -c "$machine_script" <&3 >&4 2>&4' /dev/null </dev/null >/dev/null
    exit
esac
echo "$refusal"
echo "@machine fail sudo refuses to work for $(id -un)"
echo "@machine hint let $(id -un) use sudo without a password (NOPASSWD in sudoers), or log in as root"
exit 1
