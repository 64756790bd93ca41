# Any other Linux with systemd and Docker preinstalled: Arch, Flatcar, Fedora CoreOS, custom images.

systemd_busy() { return 1; }

# Docker's script itself reports systems that it does not support.
systemd_is_known_to_default_script() { return 0; }

systemd_install() {
    fail "cannot install Docker${1:+ $1} on ${os_id:-this system}: unsupported system" \
        "use an image with Docker, or set an --engine-install-url that supports this system"
}
