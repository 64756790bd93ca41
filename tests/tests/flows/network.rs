//! The way to AWS: endpoints, proxies, certificates. What is reached is always loopback: a proxy of the
//! test's own leads every name there.

use ec2_lab::ec2::{ACCESS_KEY, ACCOUNT};
use machine_tests::flows::{Ended, Flow};
use machine_tests::wire::{Proxy, TlsFront};

/// The lab behind TLS and a proxy, known by AWS's names.
struct Aws {
    flow: Flow,
    front: TlsFront,
    proxy: Proxy,
}

impl Aws {
    async fn known_as(names: &[&str]) -> Self {
        let mut flow = Flow::start().await;
        let lab = flow.lab.endpoint();
        let lab = lab.trim_start_matches("http://").parse().unwrap();
        let front = TlsFront::before(lab, names).await;
        let proxy = Proxy::to(front.address(), lab).await;
        flow.home.set("HTTPS_PROXY", proxy.url());
        let bundle = flow.home.file("ca.pem", front.ca());
        flow.home.set("AWS_CA_BUNDLE", bundle);
        Self { flow, front, proxy }
    }

    /// Starts to create a machine in a region; the image is missing, so it asks and makes nothing.
    async fn ask(&self, region: &str, more: &[&str]) -> Ended {
        let region = format!("--amazonec2-region={region}");
        let mut argv = vec![
            "create",
            "--driver=amazonec2",
            &region,
            "--amazonec2-ami=ami-00000000",
        ];
        argv.extend(more);
        argv.push("m1");
        self.flow.home.run(argv).await
    }

    /// Where the proxy was asked to connect to, once each.
    fn hosts(&self) -> Vec<String> {
        let mut hosts = self.proxy.targets();
        hosts.dedup();
        hosts
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_partition_and_kind_of_endpoint_has_its_url() {
    let private = "vpce-0a1b-2c3d.ec2.eu-west-1.vpce.amazonaws.com";
    let private_flag = format!("--amazonec2-endpoint=https://{private}");
    let (fips, dual) = ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT");
    for (region, variables, flag, host) in [
        ("us-east-1", &[][..], None, "ec2.us-east-1.amazonaws.com"),
        ("eu-central-1", &[], None, "ec2.eu-central-1.amazonaws.com"),
        ("cn-north-1", &[], None, "ec2.cn-north-1.amazonaws.com.cn"),
        (
            "us-gov-west-1",
            &[],
            None,
            "ec2.us-gov-west-1.amazonaws.com",
        ),
        (
            "us-east-2",
            &[fips],
            None,
            "ec2-fips.us-east-2.amazonaws.com",
        ),
        (
            "us-gov-east-1",
            &[fips],
            None,
            "ec2.us-gov-east-1.amazonaws.com",
        ),
        ("eu-west-1", &[dual], None, "ec2.eu-west-1.api.aws"),
        (
            "cn-northwest-1",
            &[dual],
            None,
            "ec2.cn-northwest-1.api.amazonwebservices.com.cn",
        ),
        (
            "us-west-2",
            &[fips, dual],
            None,
            "ec2-fips.us-west-2.api.aws",
        ),
        ("eu-west-1", &[], Some(private_flag.as_str()), private),
        // Whoever names an endpoint has chosen already.
        ("eu-west-1", &[fips], Some(private_flag.as_str()), private),
    ] {
        let mut aws = Aws::known_as(&[host]).await;
        for variable in variables {
            aws.flow.home.set(variable, "true");
        }
        let more: Vec<&str> = flag.into_iter().collect();
        let ended = aws.ask(region, &more).await;
        ended.failed(3, &["ami-00000000"]);
        assert_eq!(
            aws.hosts(),
            [format!("CONNECT {host}:443")],
            "{region} {variables:?}"
        );
        let calls = aws.flow.lab.calls();
        assert!(
            calls.iter().all(|call| call.region == region),
            "signed for {region}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_lives_behind_a_proxy_that_wants_a_password() {
    let mut aws =
        Aws::known_as(&["ec2.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com"]).await;
    let with_password = format!("http://user:pr0xyPASSWORD@{}", aws.proxy.address());
    aws.flow.home.set("HTTPS_PROXY", with_password);
    aws.flow.home.set("MACHINE_DEBUG", "true");
    let home = &aws.flow.home;
    let mut argv = vec![
        "create",
        "--driver=amazonec2",
        "--amazonec2-use-private-address",
        "--amazonec2-ssh-port=2222",
        "m1",
    ];
    let created = home.run(&argv).await.ok();
    let removed = home.run(["rm", "-y", "m1"]).await.ok();
    aws.flow.assert_clean();
    for head in aws.proxy.heads() {
        // user:pr0xyPASSWORD in base64.
        let header = "proxy-authorization: basic dxnlcjpwcjb4evbbu1nxt1je";
        assert!(head.to_lowercase().contains(header), "{head}");
    }
    // A proxy that is not there is named, and its password is not.
    let gone = "http://user:pr0xyPASSWORD@127.0.0.1:1";
    aws.flow.home.set("HTTPS_PROXY", gone);
    argv.insert(1, "--amazonec2-retries=-1");
    let refused = aws.flow.home.run(&argv).await.failed(1, &["got no answer"]);
    let mut all = vec![created, removed, refused];
    for useless in [
        "socks5://user:pr0xyPASSWORD@127.0.0.1:1",
        "http://user:pr0xyPASSWORD@a b",
    ] {
        aws.flow.home.set("HTTPS_PROXY", useless);
        let ended = aws.flow.home.run(&argv).await;
        all.push(ended.failed(1, &["HTTPS_PROXY is not the URL of a proxy"]));
    }
    for ended in all {
        assert!(!ended.to_string().contains("pr0xyPASSWORD"), "{ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_are_for_whom_the_variables_say() {
    // Names below localhost are this computer's own, in every resolver (RFC 6761).
    let name = "ec2.localhost";
    let mut aws = Aws::known_as(&[name]).await;
    let lab = aws.flow.lab.endpoint();
    let port = lab.rsplit(':').next().unwrap().to_owned();
    let tls = format!(
        "--amazonec2-endpoint=https://{name}:{}",
        aws.front.address().port()
    );
    let plain = format!("--amazonec2-endpoint=http://{name}:{port}");
    let region = "us-east-1";

    aws.ask(region, &[&tls]).await.failed(3, &["ami-00000000"]);
    let tunnel = format!("CONNECT {name}:{}", aws.front.address().port());
    assert_eq!(aws.hosts(), [tunnel.as_str()]);

    // HTTPS_PROXY is for https alone, and a proxy for all is none of Go's programs'.
    aws.flow.home.set("ALL_PROXY", "socks5://127.0.0.1:1");
    aws.ask(region, &[&plain])
        .await
        .failed(3, &["ami-00000000"]);
    assert_eq!(aws.hosts(), [tunnel.as_str()]);

    let proxy = aws.proxy.url();
    aws.flow.home.set("HTTP_PROXY", &proxy);
    aws.ask(region, &[&plain])
        .await
        .failed(3, &["ami-00000000"]);
    let url = format!("POST http://{name}:{port}/");
    assert_eq!(aws.hosts(), [tunnel.as_str(), &url]);

    // The same in lower case, and without a scheme.
    aws.flow.home.unset("HTTP_PROXY");
    aws.flow
        .home
        .set("http_proxy", aws.proxy.address().to_string());
    aws.ask(region, &[&plain])
        .await
        .failed(3, &["ami-00000000"]);
    assert_eq!(aws.hosts(), [tunnel.as_str(), &url]);
    let asked = aws.proxy.targets().len();

    aws.flow.home.set("NO_PROXY", "example.org,.localhost");
    for endpoint in [&tls, &plain] {
        aws.ask(region, &[endpoint])
            .await
            .failed(3, &["ami-00000000"]);
    }
    assert_eq!(aws.proxy.targets().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_trusted_from_where_the_variables_say() {
    let host = "ec2.us-east-1.amazonaws.com";
    let mut aws = Aws::known_as(&[host]).await;
    let bundle = aws.flow.home.path().join("ca.pem");
    aws.flow.home.unset("AWS_CA_BUNDLE");
    let untrusted = ["got no answer", "certificate"];
    let retries = "--amazonec2-retries=-1";
    aws.ask("us-east-1", &[retries]).await.failed(1, &untrusted);

    aws.flow.home.set("SSL_CERT_FILE", &bundle);
    aws.ask("us-east-1", &[]).await.failed(3, &["ami-00000000"]);
    aws.flow.home.unset("SSL_CERT_FILE");

    // The system's store, where OpenSSL's variable puts it: files named by a hash.
    let store = aws.flow.home.path().join("certificates");
    std::fs::create_dir(&store).unwrap();
    std::fs::copy(&bundle, store.join("0a1b2c3d.0")).unwrap();
    aws.flow.home.set("SSL_CERT_DIR", &store);
    aws.ask("us-east-1", &[]).await.failed(3, &["ami-00000000"]);

    // AWS's own variable goes before all others, and what it names must be of use.
    let other = TlsFront::before(aws.proxy.address(), &[host]).await;
    let other = aws.flow.home.file("other.pem", other.ca());
    aws.flow.home.set("AWS_CA_BUNDLE", &other);
    aws.ask("us-east-1", &[retries]).await.failed(1, &untrusted);
    for (contents, said) in [
        (Some("no certificate"), "there are no certificates in"),
        (None, "cannot read the certificates in"),
    ] {
        let file = aws.flow.home.path().join("bad.pem");
        match contents {
            Some(contents) => std::fs::write(&file, contents).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        aws.flow.home.set("AWS_CA_BUNDLE", &file);
        let ended = aws.ask("us-east-1", &[]).await;
        ended.failed(1, &[said, &file.display().to_string()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_private_endpoint_sts_is_asked_at_its_own() {
    let private = "vpce-0a1b-2c3d.ec2.us-east-1.vpce.amazonaws.com";
    let aws = Aws::known_as(&[private, "sts.us-east-1.amazonaws.com"]).await;
    let home = &aws.flow.home;
    let endpoint = format!("--amazonec2-endpoint=https://{private}");
    home.run([
        "create",
        "--driver=amazonec2",
        "--amazonec2-use-private-address",
        "--amazonec2-zone=us-east-1a",
        "--amazonec2-ssh-port=2222",
        &endpoint,
        "m1",
    ])
    .await
    .ok();
    // That the instance is gone counts only in the account where it was: EC2 itself tells whose account this is.
    aws.flow
        .lab
        .clock()
        .advance(std::time::Duration::from_secs(7200));
    let id = aws.flow.lab.live_instances()[0].id.clone();
    assert!(aws.flow.lab.reclaim(&id));
    aws.flow
        .lab
        .clock()
        .advance(std::time::Duration::from_secs(7200));
    home.run(["rm", "-y", "m1"]).await.ok();
    let hosts = aws.hosts();
    assert!(
        hosts.contains(&format!("CONNECT {private}:443")),
        "{hosts:?}"
    );
    assert!(hosts.iter().all(|host| !host.contains("sts.")), "{hosts:?}");
    assert!(
        aws.flow
            .lab
            .calls()
            .iter()
            .all(|call| call.access_key == ACCESS_KEY && call.account == ACCOUNT)
    );
}
