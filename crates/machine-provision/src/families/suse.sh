# SLES and openSUSE. Docker's script does not know openSUSE, and SLES on s390x only. Package: docker,
# in openSUSE's own repositories and in the Containers Module of SLES; its versions end in _ce.
# zypper leaves its process id in /run/zypp.pid.

suse_busy() { alive /run/zypp.pid || alive /var/run/zypp.pid; }

suse_is_known_to_default_script() { return 1; }

suse_install() { # a release, or nothing: the newest
    run zypper --non-interactive --quiet install "docker${1:+=${1}_ce}"
}
