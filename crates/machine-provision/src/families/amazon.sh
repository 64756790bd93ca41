# Amazon Linux 2 and 2023. Docker's script does not support them. Package: docker, in the core repository of AL2023,
# in the extras of AL2 ("Amazon ECS on AL2023" in AWS's AL2023 User Guide). yum writes its process id to
# /var/run/yum.pid; rpm locks .rpm.lock of its database.

amazon_busy() {
    alive /var/run/yum.pid || locked /var/lib/rpm/.rpm.lock /usr/lib/sysimage/rpm/.rpm.lock
}

amazon_is_known_to_default_script() { return 1; }

amazon_install() { # args: a release; default: the newest
    if have amazon-linux-extras; then
        run amazon-linux-extras enable docker
        run yum -q -y install "docker${1:+-$1}"
    else
        run dnf -q -y install "docker${1:+-$1}"
    fi
}
