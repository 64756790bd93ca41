//! `src/proto` is what `proto/` generates. `UPDATE=1` writes it.

#![allow(clippy::unwrap_used)]

use std::path::Path;

#[test]
fn the_code_of_the_protocol_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = root.join("proto");
    let files = ["fleeting.proto", "go_plugin.proto", "health.proto"];
    let parsed = protox::compile(files, [&sources]).unwrap();
    let fresh = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .out_dir(fresh.path())
        .compile_fds(parsed)
        .unwrap();
    for name in ["proto.rs", "plugin.rs", "grpc.health.v1.rs"] {
        let generated = std::fs::read_to_string(fresh.path().join(name)).unwrap();
        let kept = root.join("src/proto").join(name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&kept, generated).unwrap();
            continue;
        }
        let kept = std::fs::read_to_string(&kept).unwrap_or_default();
        assert!(kept == generated, "{name} differs: run with UPDATE=1");
    }
}
