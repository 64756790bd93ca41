# RHEL, CentOS (Stream), Rocky, AlmaLinux, Oracle Linux, Fedora. Docker's script supports centos, fedora, rhel and
# rocky by name (docker/docker-install, install.sh, June 2026). The others are binary compatible with RHEL and use
# Docker's packages for CentOS, from the repository that Docker's installation guide for CentOS names. dnf waits for
# its own lock. ostree-booted(7) marks an image that package managers cannot change.

redhat_busy() {
    alive /var/run/yum.pid || locked /var/lib/rpm/.rpm.lock /usr/lib/sysimage/rpm/.rpm.lock
}

redhat_is_known_to_default_script() {
    case $os_id in centos | fedora | rhel | rocky) return 0 ;; *) return 1 ;; esac
}

redhat_install() { # args: a release; default: the newest
    [ ! -e "$R/run/ostree-booted" ] || fail "the packages of this system ($os_id, ostree) cannot be changed" \
        "use an image with Docker"
    packages=dnf
    have dnf || packages=yum
    # A Docker that is not docker-ce comes from the distribution, and its release changes with the distribution's.
    if [ -n "$dockerd" ] && ! rpm -q docker-ce >/dev/null 2>&1; then
        owner=$(rpm -qf --qf '%{NAME}' "$dockerd") || fail "$dockerd belongs to no package" \
            "it was installed by hand: upgrade it by hand"
        run $packages -q -y install "$owner${1:+-$1}"
        return
    fi
    if [ ! -e "$R/etc/yum.repos.d/docker-ce.repo" ]; then
        distribution=centos
        case $os_id in fedora | rhel | rocky) distribution=$os_id ;; esac
        repository=https://download.docker.com/linux/$distribution/docker-ce.repo
        fetch "$repository" "$R/etc/yum.repos.d/docker-ce.repo.new" "$repository" ||
            fail "Docker's repository for $distribution cannot be reached from the host" \
                "let the host reach it, or give an --engine-install-url that it can reach"
        mv -f "$R/etc/yum.repos.d/docker-ce.repo.new" "$R/etc/yum.repos.d/docker-ce.repo"
    fi
    run $packages -q -y install "docker-ce${1:+-$1}" "docker-ce-cli${1:+-$1}" containerd.io
}
