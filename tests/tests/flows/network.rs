//! Connections to AWS: endpoints, proxies, certificates. All connections go to loopback: a proxy of the test resolves
//! every name to it.

use ec2_lab::ec2::{ACCESS_KEY, ACCOUNT};
use machine_tests::flows::{Ended, Flow};
use machine_tests::wire::{Proxy, TlsFront};

/// The lab behind TLS and a proxy, under AWS's host names.
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

    /// Starts to create a machine in a region. The image is missing, so the create only reads.
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

    /// Hosts of the proxy's CONNECT requests, without duplicates.
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
        // An explicit endpoint overrides the variables.
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
async fn a_machine_works_behind_a_proxy_with_a_password() {
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
    // The error names an unreachable proxy, without its password.
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
async fn proxy_variables_select_the_proxied_hosts() {
    // Names below localhost resolve to the local computer in every resolver (RFC 6761).
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

    // HTTPS_PROXY applies to https only. ALL_PROXY is ignored, as in Go programs.
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

    // Lower-case variables without a scheme have the same effect.
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
async fn variables_select_the_trusted_certificates() {
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

    // The system's store in the directory of OpenSSL's variable: files named by a hash.
    let store = aws.flow.home.path().join("certificates");
    std::fs::create_dir(&store).unwrap();
    std::fs::copy(&bundle, store.join("0a1b2c3d.0")).unwrap();
    aws.flow.home.set("SSL_CERT_DIR", &store);
    aws.ask("us-east-1", &[]).await.failed(3, &["ami-00000000"]);

    // AWS's own variable takes precedence, and its file must be usable.
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
async fn ec2_proves_the_account_at_a_private_endpoint() {
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
    // A missing instance counts as gone only in the account on record. EC2 itself proves the account.
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
