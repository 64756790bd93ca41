//! `env`, evaluated by each supported shell.

use machine_tests::flows::Flow;
use tokio::process::Command;

/// A directory name with special characters of each shell.
const HOSTILE: &str = r#"it's a $(touch pwned) `touch pwned` "q" \n \! !x $HOME & %PATH% *"#;

#[tokio::test(flavor = "multi_thread")]
async fn env_carries_every_path_into_real_shells() {
    let mut flow = Flow::start().await;
    let store = flow.home.path().join(HOSTILE);
    flow.home.set("MACHINE_STORAGE_PATH", &store);
    flow.home
        .set("NO_PROXY", "a.org $(touch pwned)`touch pwned`");
    flow.create("m1", &[]).await.ok();
    let wanted = format!("{}\n", flow.home.machine("m1").display());
    let posix = |shell| format!("docker-machine env --no-proxy --shell {shell} m1");
    for (program, shell, line) in [
        ("bash", "bash", format!("eval $({})", posix("bash"))),
        ("bash", "sh", format!("eval \"$({})\"", posix("sh"))),
        ("dash", "sh", format!("eval $({})", posix("sh"))),
        ("zsh", "zsh", format!("eval $({})", posix("zsh"))),
        ("zsh", "zsh", format!("eval \"$({})\"", posix("zsh"))),
        ("fish", "fish", format!("eval ({})", posix("fish"))),
        ("fish", "fish", format!("{} | source", posix("fish"))),
        ("tcsh", "tcsh", format!("eval `{}`", posix("tcsh"))),
    ] {
        let no_startup_files: &[&str] = match program {
            "zsh" | "tcsh" => &["-f"],
            "fish" => &["-N"],
            _ => &[],
        };
        let mut command = Command::new(program);
        command.args(no_startup_files);
        command.args(["-c", &format!("{line}; printenv DOCKER_CERT_PATH")]);
        let ended = flow.home.end(command, b"").await.ok();
        assert_eq!(ended.out, wanted, "{shell}: {ended}");
    }
    assert!(!flow.home.path().join("pwned").exists());

    let home = &flow.home;
    let refused = home.run(["env", "--shell", "cmd", "m1"]).await;
    let refused = refused.failed(1, &["cannot set DOCKER_CERT_PATH", "in cmd", "--shell"]);
    assert_eq!(refused.out, "");
    let script = home.run(["env", "--shell", "powershell", "m1"]).await.ok();
    let escaped = r#"it's a `$(touch pwned) ``touch pwned`` `"q`" \n \! !x `$HOME & %PATH% *"#;
    assert!(script.out.contains(escaped), "{script}");
    for shell in ["bash", "fish", "tcsh"] {
        let unset = ["env", "-u", "--no-proxy", "--shell", shell];
        let unset = home.run(unset).await.ok();
        assert!(!unset.out.contains("touch"), "{unset}");
    }
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}
