//! The fleeting plugin on real Debian hosts: GitLab's library reaches Docker through SSH.

use std::sync::Arc;

use ec2_lab::ec2::Lab;
use ec2_lab::hosts::DebianImage;
use machine_tests::containers;
use machine_tests::fleeting::{self, FleetingHost};
use machine_tests::flows::{Home, endpoint_flags, ids};
use machine_tests::real_hosts::{Page, RealHosts};
use serde_json::json;

const WHAT: &str = "the fleeting plugin on real Debian hosts";

#[tokio::test(flavor = "multi_thread")]
async fn the_library_runs_a_container_through_ssh() {
    for image in [DebianImage::WithDocker, DebianImage::WithoutDocker] {
        let Some(hosts) = RealHosts::prepare(WHAT).await else {
            return;
        };
        let hosts = Arc::new(hosts);
        hosts.choose(image);
        let lab = Lab::builder().hosts(hosts.clone()).start().await.unwrap();
        let home = Home::new();
        let page = Page::serve(hosts.gateway(), crate::debian::INSTALL).await;
        let mut flags = endpoint_flags(&lab.endpoint());
        flags.extend(ids(&lab));
        flags.push(format!("--engine-install-url={}", page.url()));
        let config = fleeting::config(&flags, json!({}));
        let plugin = fleeting::plugin(&home);
        let Some(host) = FleetingHost::start(&home, &plugin, &config, WHAT).await else {
            return;
        };
        host.init().await.ok();
        host.increase(1).await.ok();
        let running = host.until_running(1).await;
        let id = running.keys().next().unwrap();

        // An image that is in no registry.
        let archive = containers::image(&home).await;
        let archive = home.shell(&format!("base64 {}", archive.display())).await;
        let import = json!({ "instance": id, "command": "base64 -d | docker import - hello",
            "stdin": archive.ok().out });
        let imported = host.call("run", import).await.ok();
        assert_eq!(imported["code"], 0, "{imported}");
        let created = json!({ "Image": "hello", "Cmd": ["/hello"],
            "HostConfig": { "NetworkMode": "none" }, "Tty": true });
        let call = async |method: &str, path: String, body, status: u64| {
            let answer = host.docker(id, method, &path, body).await.ok();
            assert_eq!(answer["status"], status, "{path}: {answer}");
            answer["body"].as_str().unwrap().to_owned()
        };
        let created = call("POST", "/containers/create".to_owned(), Some(created), 201).await;
        let created: serde_json::Value = serde_json::from_str(&created).unwrap();
        let container = created["Id"].as_str().unwrap();
        call("POST", format!("/containers/{container}/start"), None, 204).await;
        call("POST", format!("/containers/{container}/wait"), None, 200).await;
        let said = call(
            "GET",
            format!("/containers/{container}/logs?stdout=1"),
            None,
            200,
        )
        .await;
        assert_eq!(said, "hello from a container\r\n");

        let [instance] = &lab.live_instances()[..] else {
            panic!("{:?}", lab.left_over())
        };
        let listening = hosts.look(&instance.id, "ss -Hltn sport = :2376").await;
        assert_eq!(listening, "");
        host.decrease([id]).await.ok();
        host.until_none().await;
        host.stop().await;
        fleeting::all_gone(&home).await;
        assert_eq!(lab.left_over(), Vec::<String>::new());
    }
}
