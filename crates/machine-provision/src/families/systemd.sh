# Any other Linux with systemd and Docker preinstalled: Arch, Flatcar, Fedora CoreOS, custom images.

systemd_busy() { return 1; }

# Docker's script itself reports systems that it does not support.
systemd_is_known_to_default_script() { return 0; }

systemd_install() {
    fail "no way is known to install Docker on ${os_id:-this system}${1:+ in release $1}" \
        "use an image with Docker, or give an --engine-install-url that knows this system"
}
