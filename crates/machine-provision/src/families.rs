//! The families of distributions: a file of shell functions and a table row for each.
//!
//! A family named `x` defines three functions. `x_busy` returns whether its package manager is running, and sets
//! `holder`. `x_is_known_to_default_script` returns whether the default script of `--engine-install-url` supports it.
//! `x_install RELEASE` installs the distribution's package, or changes its release: to the newest, or to a given one.

/// A family of distributions.
pub(crate) struct Family {
    /// Its name, the prefix of its functions.
    pub(crate) name: &'static str,
    /// Its names in `os-release`, matched with `ID` first, then with each word of `ID_LIKE`.
    pub(crate) ids: &'static [&'static str],
    /// Its functions.
    pub(crate) functions: &'static str,
}

/// The fallback for systems without a row.
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
