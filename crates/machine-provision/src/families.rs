//! The families of distributions: a file of shell functions and a row for each.
//!
//! A family called `x` defines three functions. `x_busy` tells whether its package manager is at
//! work, and sets `holder`. `x_is_known_to_default_script` tells whether the default of
//! `--engine-install-url` knows it. `x_install RELEASE` installs the distribution's package, or
//! moves it: to the newest, or to a release.

/// A family of distributions.
pub(crate) struct Family {
    /// Its name, the prefix of its functions.
    pub(crate) name: &'static str,
    /// What `os-release` calls it, by `ID` first, then by each word of `ID_LIKE`.
    pub(crate) ids: &'static [&'static str],
    /// Its functions.
    pub(crate) functions: &'static str,
}

/// For systems that no other row claims.
pub(crate) const OTHER: &str = "systemd";

/// All families.
pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "debian",
        ids: &["debian", "ubuntu", "raspbian"],
        functions: include_str!("families/debian.sh"),
    },
    Family {
        name: "amazon",
        ids: &["amzn"],
        functions: include_str!("families/amazon.sh"),
    },
    Family {
        name: "redhat",
        ids: &["rhel", "centos", "rocky", "almalinux", "ol", "fedora"],
        functions: include_str!("families/redhat.sh"),
    },
    Family {
        name: "suse",
        ids: &[
            "sles",
            "suse",
            "opensuse",
            "opensuse-leap",
            "opensuse-tumbleweed",
        ],
        functions: include_str!("families/suse.sh"),
    },
    Family {
        name: OTHER,
        ids: &[],
        functions: include_str!("families/systemd.sh"),
    },
];
