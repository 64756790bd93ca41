//! `docker-machine mount`.

use async_trait::async_trait;
use libmachine::Location;
use machine_driver::FlagSpec;
use tokio::process::Command as Program;

use crate::cli::Arguments;
use crate::cli::argv::Flag;
use crate::cli::{About, Command};
use crate::context::Context;
use crate::failure::Failure;
use crate::remote::known_hosts::KnownHostsFile;
use crate::remote::location;

/// Mounts a machine's directory on this computer with sshfs.
pub(crate) struct Mount;

#[async_trait(?Send)]
impl Command for Mount {
    fn about(&self) -> About {
        About {
            name: "mount",
            arguments: "[[USER@]MACHINE:]PATH [MOUNTPOINT]",
            summary: "Mount a machine's directory here",
            details: "By sshfs, which must be installed. Without a mount point, at the same path. Without a machine, of the machine 'default'.",
        }
    }

    fn examples(&self) -> &'static [&'static str] {
        &["docker-machine mount m1:/srv ./srv"]
    }

    fn flags(&self) -> Vec<Flag> {
        vec![Flag::new(FlagSpec::bool("unmount", "Unmount it")).short("u")]
    }

    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure> {
        let (source, point) = match arguments.words.as_slice() {
            [source] => (source, None),
            [source, point] => (source, Some(point)),
            _ => {
                return Err(arguments.usage.failure("Improper number of arguments"));
            }
        };
        let source = match location::split(source) {
            Some(_) => source.clone(),
            None => format!("default:{source}"),
        };
        let Location::Machine { name, user, path } = location::parse(&source, &cx.world.directory)?
        else {
            return Err(Failure::new(
                "Error loading host: this computer needs no mount of itself",
            ));
        };
        cx.library
            .open(&name)
            .await
            .map_err(|error| Failure::of("Error loading host: Error loading host", &error))?;
        let point = point.unwrap_or(&path);
        if arguments.options.bool("unmount") {
            return crate::remote::child::run(
                cx,
                Program::new("fusermount").args(["-u", "--"]).arg(point),
                "You must have a copy of the fusermount binary locally to use the unmount option",
            )
            .await;
        }
        let details = libmachine::ssh_details(&cx.library, &name).await?;
        let mut sshfs = Program::new("sshfs");
        let known_hosts = KnownHostsFile::of(cx, &details)?;
        for option in location::openssh_options(&details, &known_hosts)? {
            // A comma ends an option unless a backslash precedes it (mount.fuse3(8)).
            let option = option.replace('\\', "\\\\").replace(',', "\\,");
            sshfs.arg("-o").arg(option);
        }
        sshfs
            .arg("--")
            .arg(location::remote(&details, user.as_deref(), &path)?)
            .arg(point);
        crate::remote::child::run(
            cx,
            &mut sshfs,
            "You must have a copy of the sshfs binary locally to use the mount feature",
        )
        .await
    }
}
