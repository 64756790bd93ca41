# SLES and openSUSE. Docker's script supports neither (docker/docker-install, install.sh, June 2026). Package: docker,
# in openSUSE's own repositories and in the Containers Module of SLES (SUSE's Container Guide); its versions end in
# _ce. zypper writes its process id to /run/zypp.pid (libzypp).

suse_busy() { alive /run/zypp.pid || alive /var/run/zypp.pid; }

suse_is_known_to_default_script() { return 1; }

suse_install() { # args: a release; default: the newest
    run zypper --non-interactive --quiet install "docker${1:+=${1}_ce}"
}
