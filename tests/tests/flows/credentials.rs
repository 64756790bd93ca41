//! Sources of credentials: every provider of AWS's chain, and a metadata service under load.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ec2_lab::ec2::ACCESS_KEY;
use machine_tests::flows::Flow;
use machine_tests::keys::{FOUND, SECRET, TOKEN, all_files, change_keys, flow};
use machine_tests::tell;
use machine_tests::web::{Answer, Request, Web};
use machine_tests::wire::{Proxy, TlsFront};
use serde_json::json;
use tokio::task::JoinSet;

const JSON: &str = "Content-Type: application/json";
const TEXT: &str = "Content-Type: text/plain";
const XML: &str = "Content-Type: text/xml";

/// Creates and removes a machine with credentials of the provider chain. Asserts that they signed every call and are
/// not saved.
async fn assert_chain_works(flow: &Flow) {
    flow.create("m1", &[]).await.ok();
    let store = all_files(&flow.home.store());
    for never in [FOUND, SECRET, TOKEN] {
        assert!(!store.contains(never), "{never} is in the store");
    }
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
    for call in flow.lab.calls() {
        assert_eq!(call.access_key, FOUND, "{}", call.action);
    }
}

/// The answer of a metadata or container service to a request for credentials.
fn credentials_json() -> Answer {
    let body = format!(
        r#"{{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"{FOUND}","SecretAccessKey":"{SECRET}","Token":"{TOKEN}","Expiration":"2099-01-01T00:00:00Z"}}"#
    );
    (200, JSON, body)
}

/// The answers of a working instance metadata service (IMDSv2).
fn metadata(request: &Request) -> Answer {
    let text = |text: &str| (200, TEXT, text.to_owned());
    let roles = "/latest/meta-data/iam/security-credentials/";
    match (request.method.as_str(), request.path.strip_prefix(roles)) {
        ("PUT", _) if request.path == "/latest/api/token" => {
            let lasts = "X-aws-ec2-metadata-token-ttl-seconds: 21600";
            (200, lasts, "session".to_owned())
        }
        ("GET", _) if request.header("x-aws-ec2-metadata-token").is_none() => {
            (401, TEXT, String::new())
        }
        ("GET", Some("")) => text("manager"),
        ("GET", Some("manager")) => credentials_json(),
        _ => (404, TEXT, String::new()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_supplies_credentials() {
    let mut flow = flow().await;
    std::fs::create_dir(flow.home.path().join(".aws")).unwrap();
    let profiles = format!(
        "[default]\naws_access_key_id = AKIDNOBODY\naws_secret_access_key = x\n\
         [ci]\naws_access_key_id = {FOUND}\naws_secret_access_key = {SECRET}\naws_session_token = {TOKEN}\n"
    );
    flow.home.file(".aws/credentials", profiles);
    flow.home.set("AWS_PROFILE", "ci");
    assert_chain_works(&flow).await;
    flow.home.set("AWS_PROFILE", "no-such-profile");
    flow.create("m2", &[])
        .await
        .failed(1, &["no AWS credentials"]);
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_of_older_sdks_supply_credentials() {
    let mut flow = flow().await;
    flow.home.set("AWS_ACCESS_KEY", FOUND);
    flow.home.set("AWS_SECRET_KEY", SECRET);
    assert_chain_works(&flow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_process_supplies_credentials() {
    let flow = flow().await;
    std::fs::create_dir(flow.home.path().join(".aws")).unwrap();
    let (_, _, json) = credentials_json();
    let json = json
        .replace("\"Code\":\"Success\"", "\"Version\":1")
        .replace("\"Token\"", "\"SessionToken\"");
    let file = flow.home.file("answer.json", json);
    let profile = format!("[default]\ncredential_process = cat {}\n", file.display());
    flow.home.file(".aws/config", profile);
    assert_chain_works(&flow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_role_supplies_credentials() {
    let mut flow = flow().await;
    let service = Web::serve(|request: Request| async move {
        match request.header("authorization") {
            Some("lab") => credentials_json(),
            _ => (401, TEXT, String::new()),
        }
    })
    .await;
    flow.home.set(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        format!("{}/role", service.url()),
    );
    flow.home.set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "lab");
    assert_chain_works(&flow).await;
    assert!(!service.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_role_supplies_credentials() {
    let mut flow = flow().await;
    let service = Web::serve(|request| async move { metadata(&request) }).await;
    // A proxy cannot reach this computer's metadata service, and must not receive its credentials.
    let proxy = Proxy::to(service.address(), service.address()).await;
    flow.home
        .set("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url());
    flow.home.set("HTTP_PROXY", proxy.url());
    assert_chain_works(&flow).await;
    assert_eq!(proxy.targets(), Vec::<String>::new());
    // Each process sends three requests: token, role, credentials.
    assert_eq!(service.requests().len(), 2 * 3);
}

/// An STS and an SSO portal, behind TLS and a proxy, under AWS's own names.
async fn aws(flow: &mut Flow) -> (Web, TlsFront, Proxy) {
    let services = Web::serve(|request: Request| async move {
        if request.path.starts_with("/federation/credentials") {
            let body = format!(
                r#"{{"roleCredentials":{{"accessKeyId":"{FOUND}","secretAccessKey":"{SECRET}","sessionToken":"{TOKEN}","expiration":4070908800000}}}}"#
            );
            return (200, JSON, body);
        }
        let action = ["AssumeRoleWithWebIdentity", "AssumeRole"]
            .into_iter()
            .find(|action| request.body.contains(&format!("Action={action}&")));
        let Some(action) = action else {
            return (400, XML, String::new());
        };
        let body = format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
             <AccessKeyId>{FOUND}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey><SessionToken>{TOKEN}</SessionToken>\
             <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></{action}Result></{action}Response>"
        );
        (200, XML, body)
    })
    .await;
    let names = [
        "sts.us-east-1.amazonaws.com",
        "portal.sso.eu-west-1.amazonaws.com",
    ];
    let front = TlsFront::before(services.address(), &names).await;
    let proxy = Proxy::to(front.address(), services.address()).await;
    let bundle = flow.home.file("ca.pem", front.ca());
    flow.home.set("AWS_CA_BUNDLE", bundle);
    flow.home.set("HTTPS_PROXY", proxy.url());
    (services, front, proxy)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_identity_supplies_credentials() {
    let mut flow = flow().await;
    let (services, _front, proxy) = aws(&mut flow).await;
    let token = flow.home.file("token", "a.web.identity");
    flow.home.set("AWS_WEB_IDENTITY_TOKEN_FILE", token);
    flow.home
        .set("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/manager");
    assert_chain_works(&flow).await;
    assert!(
        services.requests()[0]
            .body
            .contains("WebIdentityToken=a.web.identity")
    );
    let targets = proxy.targets();
    assert!(
        targets
            .iter()
            .all(|target| target == "CONNECT sts.us-east-1.amazonaws.com:443"),
        "{targets:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assumed_role_supplies_credentials() {
    let mut flow = flow().await;
    let (services, _front, _proxy) = aws(&mut flow).await;
    std::fs::create_dir(flow.home.path().join(".aws")).unwrap();
    flow.home.file(
        ".aws/config",
        "[profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = x\n\
         [default]\nsource_profile = base\nrole_arn = arn:aws:iam::123456789012:role/manager\n",
    );
    assert_chain_works(&flow).await;
    let signed = services.requests()[0]
        .header("authorization")
        .map(str::to_owned);
    assert!(signed.is_some_and(|signed| signed.contains("Credential=AKIDBASE/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sso_session_supplies_credentials() {
    let mut flow = flow().await;
    let (services, _front, _proxy) = aws(&mut flow).await;
    std::fs::create_dir_all(flow.home.path().join(".aws/sso/cache")).unwrap();
    flow.home.file(
        ".aws/config",
        "[default]\nsso_session = lab\nsso_account_id = 123456789012\nsso_role_name = manager\n\
         [sso-session lab]\nsso_region = eu-west-1\nsso_start_url = https://lab.example/start\n",
    );
    // The file name is the SHA-1 of the session's name.
    flow.home.file(
        ".aws/sso/cache/3953f9ddf975ab5097ee468d99555c5b441169bf.json",
        r#"{"accessToken":"sso-token","expiresAt":"2099-01-01T00:00:00Z","region":"eu-west-1","startUrl":"https://lab.example/start"}"#,
    );
    assert_chain_works(&flow).await;
    let asked = &services.requests()[0];
    assert_eq!(asked.header("x-amz-sso_bearer_token"), Some("sso-token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_processes_survive_a_slow_and_throttled_metadata_service() {
    const PROCESSES: usize = 200;
    let mut flow = flow().await;
    // The service answers 66 requests a second with a delay, refuses every third of them, and drops some.
    let turns = Arc::new(Mutex::new((0_u32, tokio::time::Instant::now())));
    let service = Web::serve(move |request: Request| {
        let turns = turns.clone();
        async move {
            let (n, at) = {
                let mut turns = turns.lock().unwrap();
                turns.0 += 1;
                turns.1 = turns.1.max(tokio::time::Instant::now()) + Duration::from_millis(15);
                *turns
            };
            // The delay is the purpose of this service.
            let mut late = tokio::time::interval_at(at, Duration::from_secs(1));
            late.tick().await;
            match n % 3 {
                0 => (503, TEXT, String::new()),
                1 if n % 7 == 0 => (429, TEXT, String::new()),
                _ => metadata(&request),
            }
        }
    })
    .await;
    flow.home.set("AWS_ACCESS_KEY_ID", ACCESS_KEY);
    flow.home.set("AWS_SECRET_ACCESS_KEY", "SECRETEXAMPLE");
    flow.create("m1", &[]).await.ok();
    // Makes the machine one that was created with the provider chain.
    change_keys(&flow.home, "m1", "", "");
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        flow.home.unset(name);
    }
    flow.home
        .set("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url());
    flow.lab.clear_calls();
    let (flow, begun) = (Arc::new(flow), Instant::now());
    let mut running = JoinSet::new();
    for _ in 0..PROCESSES {
        let flow = flow.clone();
        running.spawn(async move { flow.home.run(["status", "m1"]).await });
    }
    while let Some(ended) = running.join_next().await {
        assert_eq!(ended.unwrap().ok().out, "Running\n");
    }
    tell(&format!(
        "{PROCESSES} processes had credentials after {:.1} s and {} requests to the metadata service",
        begun.elapsed().as_secs_f64(),
        service.requests().len()
    ));
    assert!(flow.lab.calls().iter().all(|call| call.access_key == FOUND));
}

/// Creates a machine with this metadata service. Asserts how soon the missing credentials are reported.
async fn fails_within(seconds: u64, endpoint: String, says: &[&str]) {
    let mut flow = flow().await;
    flow.home.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint);
    let begun = Instant::now();
    let ended = flow.create("m1", &[]).await;
    let took = begun.elapsed();
    let ended = ended.failed(1, &["no AWS credentials"]);
    ended.failed(1, says);
    // A busy computer needs time even for a create that fails early.
    assert!(
        took < Duration::from_secs(seconds + 1),
        "{took:?}: {says:?}"
    );
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_error_ends_the_lookup_at_once() {
    let page = || "<html>\n<body>please log in</body></html>".to_owned();
    let with_lifetime = "X-aws-ec2-metadata-token-ttl-seconds: 21600";
    for (answer, says) in [
        ((401, TEXT, String::new()), "HTTP status 401"),
        ((403, TEXT, String::new()), "HTTP status 403"),
        ((404, TEXT, String::new()), "HTTP status 404"),
        ((200, TEXT, page()), "is no instance metadata service"),
        (
            (200, with_lifetime, page()),
            "is no instance metadata service",
        ),
        (
            (200, with_lifetime, "login".to_owned()),
            "is no instance metadata service",
        ),
    ] {
        let service = Web::serve(move |_| std::future::ready(answer.clone())).await;
        fails_within(1, service.url(), &[says]).await;
        assert!(service.requests().len() <= 3, "{:?}", service.requests());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_or_silent_metadata_service_ends_the_lookup_within_seconds() {
    let broken = Web::serve(|_| std::future::ready((502, TEXT, String::new()))).await;
    let hanging = Web::serve(|_| std::future::pending()).await;
    // With a full backlog, the kernel drops the packets of the next connection.
    let full = tokio::net::TcpSocket::new_v4().unwrap();
    full.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let full = full.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let mut waiting = JoinSet::new();
    for _ in 0..8 {
        waiting.spawn(async move { tokio::net::TcpStream::connect(address).await });
    }
    tokio::join!(
        fails_within(8, broken.url(), &["HTTP status 502"]),
        fails_within(10, hanging.url(), &["accepts connections", "hop limit"]),
        fails_within(6, format!("http://{address}"), &["cannot connect"]),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn imdsv1_is_used_if_session_tokens_do_not_arrive() {
    let mut flow = flow().await;
    let service = Web::serve(|mut request: Request| async move {
        if request.method == "PUT" {
            std::future::pending::<()>().await;
        }
        request
            .headers
            .push("x-aws-ec2-metadata-token: none".to_owned());
        metadata(&request)
    })
    .await;
    flow.home
        .set("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url());
    assert_chain_works(&flow).await;
    flow.home.set("AWS_EC2_METADATA_V1_DISABLED", "true");
    flow.create("m2", &[]).await.failed(1, &["hop limit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_profile_is_reported() {
    let mut flow = flow().await;
    let directory = flow.home.path().join(".aws");
    std::fs::create_dir(&directory).unwrap();
    flow.home.set("AWS_PROFILE", "nope");
    let ended = flow.create("m1", &[]).await;
    ended.failed(1, &["cannot find the AWS profile \"nope\"", "AWS_PROFILE"]);
    flow.home.unset("AWS_PROFILE");
    let login = "[default]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = me\n\
                 [profile me]\nlogin_session = arn:aws:iam::123456789012:user/me\n";
    flow.home.file(".aws/config", login);
    let ended = flow.create("m1", &[]).await;
    let again = "aws login --profile me";
    ended.failed(1, &["login session of the AWS profile \"me\"", again]);
    std::fs::remove_file(directory.join("config")).unwrap();
    let broken = format!("[default]\naws_access_key_id = {FOUND}\n{SECRET}\n");
    flow.home.file(".aws/credentials", broken);
    let path = directory.join("credentials").display().to_string();
    let ended = flow.create("m1", &[]).await;
    let ended = ended.failed(1, &[&path, "on line 3"]);
    assert!(!ended.err.contains(SECRET), "{}", ended.err);
    flow.assert_clean();
}

/// A session that `aws login` began ("Sign in for local development", AWS SDKs and Tools Reference Guide): its
/// credentials last 15 minutes, and are renewed with a key of the session.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_session_supplies_credentials_and_is_renewed() {
    let mut flow = flow().await;
    let sign_in = Web::serve(|request| async move {
        if !request.body.contains("\"first\"") {
            let error = r#"{"error":"TOKEN_EXPIRED","message":"expired"}"#;
            return (403, "x-amzn-ErrorType: AccessDeniedException", error.to_owned());
        }
        let body = format!(
            r#"{{"accessToken":{{"accessKeyId":"{FOUND}","secretAccessKey":"{SECRET}","sessionToken":"{TOKEN}"}},"tokenType":"urn:aws:params:oauth:token-type:access_token_sigv4","expiresIn":900,"refreshToken":"second"}}"#
        );
        (200, JSON, body)
    })
    .await;
    flow.home.set("AWS_ENDPOINT_URL_SIGNIN", sign_in.url());
    let profile =
        "[profile me]\nregion = us-east-1\nlogin_session = arn:aws:iam::123456789012:user/me\n";
    let cache = ".aws/login/cache";
    std::fs::create_dir_all(flow.home.path().join(cache)).unwrap();
    flow.home.file(".aws/config", profile);
    flow.home.set("AWS_PROFILE", "me");
    let key = "openssl ecparam -name prime256v1 -genkey -noout";
    let key = flow.home.shell(key).await.ok().out;
    let session = |refresh: &str| {
        let access = json!({
            "accessKeyId": "AKIDEXPIRED", "secretAccessKey": "x", "sessionToken": "x",
            "accountId": "123456789012", "expiresAt": "2025-11-19T00:00:00Z",
        });
        let session = json!({
            "accessToken": access, "tokenType": "aws_sigv4", "refreshToken": refresh, "dpopKey": key,
            "idToken": "x.e30.x", "clientId": "arn:aws:signin:::devtools/same-device",
        });
        session.to_string()
    };
    // The file's name is the SHA-256 of the session's ARN.
    let digest = "286187707741fc2ccb93cf9e56dbd0ee0a16208feed5fbc8ae1baa86d44c283f";
    let file = format!("{cache}/{digest}.json");
    flow.home.file(&file, session("first"));
    assert_chain_works(&flow).await;
    let requests = sign_in.requests();
    // The commands after the first one use the renewed credentials.
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(requests[0].path, "/v1/token");
    assert!(requests[0].header("dpop").is_some(), "{requests:?}");
    flow.home.file(&file, session("other"));
    let refused = flow.create("m2", &[]).await;
    let refused = refused.failed(1, &["login session", "aws login --profile me"]);
    assert!(!refused.to_string().contains("PRIVATE KEY"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_credentials_are_reported_without_a_metadata_service() {
    let flow = flow().await;
    let ended = flow.create("m1", &[]).await;
    ended.failed(1, &["no AWS credentials", "AWS_PROFILE", "instance role"]);
    flow.assert_clean();
}
