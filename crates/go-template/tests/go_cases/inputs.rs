//! The input data of the cases.

use std::time::Duration;

use go_template::{Element, List, Map, Named, Pointer, Struct, Value};

/// Returns the input of the given name.
pub(crate) fn input(name: &str) -> Value {
    match name {
        "machine" => json(include_str!("../data/input/machine.json")),
        "values" => json(include_str!("../data/input/values.json")),
        "item" => item(),
        "failed" => failed_item(),
        "headers" => headers(),
        "nil" => Value::Nil,
        other => panic!("no input {other}"),
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str::<serde_json::Value>(text)
        .unwrap()
        .into()
}

/// Returns a row of `ls`.
fn item() -> Value {
    Struct::new(
        "commands.HostListItem",
        [
            ("Name", "n1".into()),
            ("Active", "-".into()),
            ("ActiveHost", false.into()),
            ("ActiveSwarm", false.into()),
            ("DriverName", "none".into()),
            ("State", Named::new("state.State", 1, "Running").into()),
            ("URL", "tcp://127.0.0.1:23761".into()),
            ("SwarmOptions", Pointer::to(swarm_options()).into()),
            ("Swarm", "".into()),
            ("EngineOptions", Pointer::to(engine_options()).into()),
            ("Error", "".into()),
            ("DockerVersion", "v20.10.24".into()),
            ("ResponseTime", Duration::from_nanos(1_234_567_890).into()),
        ],
    )
    .into()
}

/// Returns a row of `ls` for a machine that could not be loaded.
fn failed_item() -> Value {
    let names = |options: Struct| -> Vec<_> {
        options
            .fields()
            .iter()
            .map(|(name, _)| name.clone())
            .collect()
    };
    Struct::new(
        "commands.HostListItem",
        [
            ("Name", "broken".into()),
            ("Active", "".into()),
            ("ActiveHost", false.into()),
            ("ActiveSwarm", false.into()),
            ("DriverName", "not found".into()),
            ("State", Named::new("state.State", 7, "Error").into()),
            ("URL", "".into()),
            (
                "SwarmOptions",
                Pointer::nil("swarm.Options", names(swarm_options())).into(),
            ),
            ("Swarm", "".into()),
            (
                "EngineOptions",
                Pointer::nil("engine.Options", names(engine_options())).into(),
            ),
            ("Error", "no <config> & \"x\"".into()),
            ("DockerVersion", "".into()),
            ("ResponseTime", Duration::ZERO.into()),
        ],
    )
    .into()
}

fn swarm_options() -> Struct {
    let none: [&str; 0] = [];
    Struct::new(
        "swarm.Options",
        [
            ("IsSwarm", false.into()),
            ("Address", "".into()),
            ("Discovery", "".into()),
            ("Agent", false.into()),
            ("Master", false.into()),
            ("Host", "tcp://0.0.0.0:3376".into()),
            ("Image", "swarm:latest".into()),
            ("Strategy", "spread".into()),
            ("Heartbeat", 0.into()),
            ("Overcommit", 0.0.into()),
            ("ArbitraryFlags", List::strings(none).into()),
            ("ArbitraryJoinFlags", List::strings(none).into()),
            ("Env", List::nil(Element::String).into()),
            ("IsExperimental", false.into()),
        ],
    )
}

fn engine_options() -> Struct {
    let none: [&str; 0] = [];
    Struct::new(
        "engine.Options",
        [
            ("ArbitraryFlags", List::strings(["mtu=1400"]).into()),
            ("Dns", List::nil(Element::String).into()),
            ("GraphDir", "".into()),
            ("Env", List::strings(none).into()),
            ("Ipv6", false.into()),
            ("InsecureRegistry", List::strings(none).into()),
            ("Labels", List::strings(["role=db", "tier=gold"]).into()),
            ("LogLevel", "".into()),
            ("StorageDriver", "".into()),
            ("SelinuxEnabled", false.into()),
            ("TlsVerify", true.into()),
            ("RegistryMirror", List::strings(none).into()),
            ("InstallURL", "https://get.docker.com".into()),
        ],
    )
}

/// Returns the headers of `ls --format "table ..."`, which are the data for the same template.
fn headers() -> Value {
    Map::strings([
        ("Name", "NAME"),
        ("Active", "ACTIVE"),
        ("ActiveHost", "ACTIVE_HOST"),
        ("ActiveSwarm", "ACTIVE_SWARM"),
        ("DriverName", "DRIVER"),
        ("State", "STATE"),
        ("URL", "URL"),
        ("SwarmOptions", "SWARM_OPTIONS"),
        ("Swarm", "SWARM"),
        ("EngineOptions", "ENGINE_OPTIONS"),
        ("Error", "ERRORS"),
        ("DockerVersion", "DOCKER"),
        ("ResponseTime", "RESPONSE"),
    ])
    .into()
}
