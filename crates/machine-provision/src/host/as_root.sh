# Runs $machine_input by sh as root: directly, by sudo, or by sudo on a pseudo-terminal if sudoers has "requiretty".
# Never asks for a password. The input holds secrets: it is passed through a pipe, and is neither an argument nor
# exported.
if [ "$(id -u)" -eq 0 ]; then
    eval "$machine_input"
    exit
fi
if ! command -v sudo >/dev/null 2>&1; then
    echo "@machine fail $(id -un) is not root, and there is no sudo"
    echo "@machine hint log in as root, or install sudo and let $(id -un) use it without a password"
    exit 1
fi
if refusal=$(LC_ALL=C sudo -n true 2>&1); then
    printf '%s\n' "$machine_input" | sudo -n sh -c 'eval "$(cat)"'
    exit
fi
case $refusal in *"must have a tty"*)
    if ! command -v script >/dev/null 2>&1; then
        echo "@machine fail sudo requires a terminal (requiretty), and script(1) is not installed"
        echo "@machine hint remove requiretty from sudoers, or log in as root"
        exit 1
    fi
    # script(1) runs its command by $SHELL, which may not be a POSIX shell.
    SHELL=/bin/sh
    export SHELL
    printf '%s\n' "$machine_input" | {
        exec 3<&0 4>&1
        script -qec 'exec sudo -n sh -c '\''eval "$(cat)"'\'' <&3 >&4 2>&4' /dev/null </dev/null >/dev/null
    }
    exit
esac
echo "$refusal"
echo "@machine fail sudo refuses to work for $(id -un)"
echo "@machine hint let $(id -un) use sudo without a password (NOPASSWD in sudoers), or log in as root"
exit 1
