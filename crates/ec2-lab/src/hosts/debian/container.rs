//! One real host: a container whose init process is systemd.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::dockerd::{Dockerd, NETWORK};
use super::image::DebianImage;
use super::{DebianError, DebianOptions};
use crate::hosts::{HostSpec, pause};

/// The commands that the container runs before systemd.
///
/// Docker mounts the control groups read-only and three of its own files into `/etc`. systemd needs to write the
/// control groups; the files become the host's own unless the lab was asked for a system container. Then the steps of
/// cloud-init at a first boot: host keys, the login user with sudo, its key.
const BOOT: &str = r#"
grep -E ' /sys/fs/cgroup' /proc/self/mounts | while read -r _ at _; do mount -o remount,bind,rw "$at"; done
umount /etc/resolv.conf
[ -n "$LAB_MOUNTS" ] || umount /etc/hostname /etc/hosts
: >/etc/resolv.conf
[ -s /etc/hostname ] || echo "$LAB_NAME" >/etc/hostname
[ -s /etc/hosts ] || printf '127.0.0.1 localhost\n%s %s\n' "$LAB_ADDRESS" "$LAB_NAME" >/etc/hosts
for type in ed25519 ecdsa; do
    [ -e "/etc/ssh/ssh_host_${type}_key" ] || ssh-keygen -q -t "$type" -N '' -f "/etc/ssh/ssh_host_${type}_key"
done
id "$LAB_USER" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$LAB_USER"
printf '%s ALL=(ALL) NOPASSWD:ALL\n' "$LAB_USER" >/etc/sudoers.d/90-cloud-init-users
home=$(getent passwd "$LAB_USER" | cut -d: -f6)
install -d -m 0700 -o "$LAB_USER" "$home/.ssh"
if [ -n "$LAB_KEY" ]; then
    printf '%s\n' "$LAB_KEY" >"$home/.ssh/authorized_keys"
    chmod 0600 "$home/.ssh/authorized_keys"
    chown "$LAB_USER" "$home/.ssh/authorized_keys"
fi
[ -z "$LAB_LINK" ] || ln -sf ../sbin/dockerd /usr/bin/dockerd
unset LAB_NAME LAB_ADDRESS LAB_USER LAB_KEY LAB_LINK LAB_MOUNTS
exec /sbin/init
"#;

/// Adds a key to the login user's `authorized_keys`: the step of cloud-init that comes later than sshd.
const PUT_KEY: &str = r#"
file=$(getent passwd "$1" | cut -d: -f6)/.ssh/authorized_keys
umask 077
printf '%s\n' "$2" >"$file"
chown "$1" "$file"
"#;

/// sshd is up after a second or two; this allows for a machine under load.
const BOOT_TIME: Duration = Duration::from_secs(60);

/// A host's container.
#[derive(Debug)]
pub(super) struct Container {
    name: String,
    spec: HostSpec,
}

/// Returns the name of an instance's container.
pub(super) fn name(instance_id: &str) -> String {
    format!("host-{instance_id}")
}

impl Container {
    /// Creates and boots a new host.
    pub(super) async fn create(
        dockerd: &Dockerd,
        options: &DebianOptions,
        image: DebianImage,
        spec: HostSpec,
    ) -> Result<Self, DebianError> {
        let name = name(&spec.instance_id);
        let address = spec.address.to_string();
        let host_name = format!("ip-{}", address.replace(['.', ':'], "-"));
        let late = options.key_after.is_some();
        let key = spec
            .public_key
            .as_deref()
            .filter(|_| !late)
            .unwrap_or_default();
        let environment = [
            "container=docker".to_owned(),
            format!("LAB_NAME={host_name}"),
            format!("LAB_ADDRESS={address}"),
            format!("LAB_USER={}", spec.user),
            format!("LAB_KEY={}", key.trim()),
            format!("LAB_LINK={}", yes(options.dockerd_in_usr_bin)),
            format!("LAB_MOUNTS={}", yes(options.names_are_mounts)),
        ];
        // All privileges of --privileged that a root without CAP_SYS_RESOURCE can pass on.
        let mut words = vec![
            "run",
            "--detach",
            "--tty",
            "--name",
            &name,
            "--label",
            "ec2-lab",
            "--hostname",
            &host_name,
            "--network",
            NETWORK,
            "--ip",
            &address,
            "--cap-add",
            "ALL",
            "--cap-drop",
            "SYS_RESOURCE",
            "--security-opt",
            "apparmor=unconfined",
            "--security-opt",
            "seccomp=unconfined",
            "--security-opt",
            "systempaths=unconfined",
            "--cgroupns=private",
            "--tmpfs",
            "/run",
            "--tmpfs",
            "/tmp:exec",
            "--volume",
            "/var/lib/docker",
        ];
        for variable in &environment {
            words.extend(["--env", variable.as_str()]);
        }
        words.extend([image.tag(), "sh", "-c", BOOT]);
        if let Err(error) = dockerd.docker(&words).await {
            // A container that was created but could not be started must not keep the name.
            let _ = dockerd
                .try_docker(&["rm", "--force", "--volumes", &name])
                .await;
            return Err(error);
        }
        if let (Some(after), Some(key)) = (options.key_after, &spec.public_key) {
            let mut put = dockerd.client(&[
                "exec",
                &name,
                "sh",
                "-c",
                PUT_KEY,
                "sh",
                &spec.user,
                key.trim(),
            ]);
            let sshd = SocketAddr::new(spec.address, 22);
            tokio::spawn(async move {
                if timeout(BOOT_TIME, answers(sshd)).await.is_ok() {
                    pause(after).await;
                    // If this fails, the host refuses all logins, which the test then sees.
                    let _ = put.output().await;
                }
            });
        }
        Ok(Self { name, spec })
    }

    /// Boots the host again, from its own disk, at the address of `spec`.
    pub(super) async fn boot_again(
        &mut self,
        dockerd: &Dockerd,
        spec: HostSpec,
    ) -> Result<(), DebianError> {
        self.stop(dockerd).await;
        if spec.address != self.spec.address {
            dockerd
                .docker(&["network", "disconnect", NETWORK, &self.name])
                .await?;
            let address = spec.address.to_string();
            dockerd
                .docker(&["network", "connect", "--ip", &address, NETWORK, &self.name])
                .await?;
        }
        dockerd.docker(&["start", &self.name]).await?;
        self.spec = spec;
        Ok(())
    }

    /// Powers the host off; keeps its disk.
    pub(super) async fn stop(&self, dockerd: &Dockerd) {
        // Succeeds also if it is off.
        let _ = dockerd.try_docker(&["kill", &self.name]).await;
        let _ = dockerd.try_docker(&["wait", &self.name]).await;
    }

    /// Removes the host and its disk.
    pub(super) async fn remove(&self, dockerd: &Dockerd) {
        // A container that remains is removed with the lab.
        let _ = dockerd
            .try_docker(&["rm", "--force", "--volumes", &self.name])
            .await;
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn spec(&self) -> &HostSpec {
        &self.spec
    }
}

/// Formats a boolean as the shell tests it.
fn yes(on: bool) -> &'static str {
    if on { "yes" } else { "" }
}

/// Returns once a process accepts connections at the address.
async fn answers(address: SocketAddr) {
    while TcpStream::connect(address).await.is_err() {
        pause(Duration::from_millis(50)).await;
    }
}
