//! `ls --format`: Go templates over one machine each, aligned if they begin with `table`, or JSON.

use std::io::Write;

use go_template::{
    Element, Error, Functions, List, ListFormat, Map, Named, Pointer, Struct, Value,
};
use libmachine::{Active, EngineOptions, ListItem, SwarmOptions};
use machine_types::{GoList, MachineState};
use serde_json::json;

use crate::output::{age, go_json};

/// The columns of a plain `ls`.
const DEFAULT: &str = "table {{ .Name }}\t{{ .Active }}\t{{ .DriverName}}\t{{ .State }}\t{{ .URL }}\t{{ .Swarm }}\t{{ .DockerVersion }}\t{{ .Error}}";

/// Headers of the fields in a `table`.
const HEADERS: [(&str, &str); 18] = [
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
    ("Age", "AGE"),
    ("InstanceType", "TYPE"),
    ("Zone", "ZONE"),
    ("Spot", "SPOT"),
    ("InstanceID", "INSTANCE"),
];

/// Returns the names of a machine's fields in templates.
pub(crate) fn fields() -> Vec<String> {
    HEADERS
        .iter()
        .map(|(field, _)| format!(".{field}"))
        .collect()
}

/// Output format of a list of machines.
#[derive(Debug)]
pub(crate) enum Format {
    /// A template for each machine, aligned under headers if it begins with `table`.
    Template {
        /// The template.
        format: ListFormat,
        /// Whether the template writes JSON, in which a state is a word and not the number that Go's type is.
        makes_json: bool,
    },
    /// A JSON object for each machine; not in the Go binary.
    Json,
}

impl Format {
    /// Parses a format; an empty one is the default.
    pub(crate) fn parse(format: &str) -> Result<Self, Error> {
        if format == "json" {
            return Ok(Self::Json);
        }
        let is_default = format.is_empty() || format.trim() == "table";
        let format = if is_default { DEFAULT } else { format };
        Ok(Self::Template {
            makes_json: format.contains("json"),
            format: ListFormat::parse(format, Functions::with_json())?,
        })
    }

    /// Writes the machines, up to the first for which the template fails.
    pub(crate) fn write(&self, items: &[ListItem], out: &mut dyn Write) -> Result<(), Error> {
        match self {
            Self::Template { format, makes_json } => {
                let rows: Vec<Value> = items.iter().map(|item| row(item, *makes_json)).collect();
                format.write(&Map::strings(HEADERS).into(), &rows, out)
            }
            Self::Json => items
                .iter()
                .try_for_each(|item| writeln!(out, "{}", go_json::line(&object(item))))
                .map_err(Error::Write),
        }
    }
}

/// The column `AGE`.
pub(super) fn age(item: &ListItem) -> String {
    item.age.map(age::text).unwrap_or_default()
}

/// The column `SWARM`.
pub(super) fn swarm(item: &ListItem) -> String {
    let master = item.swarm_master.clone().unwrap_or_default();
    match swarm_options(item) {
        Some(swarm) if swarm.discovery.is_empty() => String::new(),
        Some(swarm) if swarm.master => format!("{master} (master)"),
        Some(_) => master,
        None => String::new(),
    }
}

fn swarm_options(item: &ListItem) -> Option<&SwarmOptions> {
    item.record
        .as_ref()
        .map(|record| &record.host_options.swarm_options)
}

fn engine_options(item: &ListItem) -> Option<&EngineOptions> {
    item.record
        .as_ref()
        .map(|record| &record.host_options.engine_options)
}

/// The column `DOCKER`; empty for a machine that could not be queried.
pub(super) fn docker(item: &ListItem) -> String {
    match &item.docker {
        Some(version) => format!("v{version}"),
        None if item.broken || item.state == MachineState::Timeout => String::new(),
        None => "Unknown".to_owned(),
    }
}

/// The column `ACTIVE`.
pub(super) fn active(item: &ListItem) -> &'static str {
    match item.active {
        _ if item.state == MachineState::Timeout => "",
        Active::Unknown => "",
        Active::No => "-",
        Active::Host => "*",
        Active::Swarm => "* (swarm)",
    }
}

/// Returns a machine as templates see it: a Go struct, with Go's field names.
fn row(item: &ListItem, in_json: bool) -> Value {
    let state = MachineState::ALL
        .iter()
        .position(|state| *state == item.state);
    let state = i64::try_from(state.unwrap_or_default()).unwrap_or_default();
    let state: Value = match in_json {
        true => item.state.as_str().into(),
        false => Named::new("state.State", state, item.state.as_str()).into(),
    };
    Struct::new(
        "commands.HostListItem",
        [
            ("Name", item.name.as_str().into()),
            ("Active", active(item).into()),
            ("ActiveHost", (item.active == Active::Host).into()),
            ("ActiveSwarm", (item.active == Active::Swarm).into()),
            ("DriverName", item.driver.as_str().into()),
            ("State", state),
            ("URL", item.url.as_str().into()),
            (
                "SwarmOptions",
                pointer(swarm_options(item), "swarm.Options", swarm_fields).into(),
            ),
            ("Swarm", swarm(item).into()),
            (
                "EngineOptions",
                pointer(engine_options(item), "engine.Options", engine_fields).into(),
            ),
            ("Error", item.error.as_str().into()),
            ("DockerVersion", docker(item).into()),
            ("ResponseTime", milliseconds(item.response_time).into()),
            ("Age", age(item).into()),
            ("InstanceType", item.facts.instance_type.as_str().into()),
            ("Zone", item.facts.zone.as_str().into()),
            ("Spot", item.facts.is_spot.into()),
            ("InstanceID", item.instance_id.as_str().into()),
        ],
    )
    .into()
}

/// Milliseconds, rounded up: templates test `{{if .ResponseTime}}`, so that an answer never counts as zero.
fn milliseconds(time: std::time::Duration) -> std::time::Duration {
    let milliseconds = time.as_nanos().div_ceil(1_000_000);
    std::time::Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::MAX))
}

type Fields = Vec<(&'static str, Value)>;

fn pointer<T: Default>(options: Option<&T>, type_name: &str, fields: fn(&T) -> Fields) -> Pointer {
    match options {
        Some(options) => Pointer::to(Struct::new(type_name, fields(options))),
        None => {
            let names = fields(&T::default()).into_iter().map(|(name, _)| name);
            Pointer::nil(type_name, names)
        }
    }
}

fn list(list: &GoList) -> Value {
    match list {
        Some(items) => List::strings(items.iter().map(String::as_str)).into(),
        None => List::nil(Element::String).into(),
    }
}

fn engine_fields(engine: &EngineOptions) -> Fields {
    vec![
        ("ArbitraryFlags", list(&engine.arbitrary_flags)),
        ("DNS", list(&engine.dns)),
        ("GraphDir", engine.graph_dir.as_str().into()),
        ("Env", list(&engine.env)),
        ("Ipv6", engine.ipv6.into()),
        ("InsecureRegistry", list(&engine.insecure_registry)),
        ("Labels", list(&engine.labels)),
        ("LogLevel", engine.log_level.as_str().into()),
        ("StorageDriver", engine.storage_driver.as_str().into()),
        ("SelinuxEnabled", engine.selinux_enabled.into()),
        ("TLSVerify", engine.tls_verify.into()),
        ("RegistryMirror", list(&engine.registry_mirror)),
        ("InstallURL", engine.install_url.as_str().into()),
    ]
}

fn swarm_fields(swarm: &SwarmOptions) -> Fields {
    vec![
        ("IsSwarm", swarm.is_swarm.into()),
        ("Address", swarm.address.as_str().into()),
        ("Discovery", swarm.discovery.as_str().into()),
        ("Agent", swarm.agent.into()),
        ("Master", swarm.master.into()),
        ("Host", swarm.host.as_str().into()),
        ("Image", swarm.image.as_str().into()),
        ("Strategy", swarm.strategy.as_str().into()),
        ("Heartbeat", swarm.heartbeat.into()),
        (
            "Overcommit",
            swarm.overcommit.as_f64().unwrap_or_default().into(),
        ),
        ("ArbitraryFlags", list(&swarm.arbitrary_flags)),
        ("ArbitraryJoinFlags", list(&swarm.arbitrary_join_flags)),
        ("Env", list(&swarm.env)),
        ("IsExperimental", swarm.is_experimental.into()),
    ]
}

/// Returns a machine as `--format json` shows it. The keys are stable.
fn object(item: &ListItem) -> serde_json::Value {
    json!({
        "name": item.name,
        "active": matches!(item.active, Active::Host | Active::Swarm),
        "driver": item.driver,
        "state": item.state.as_str(),
        "url": item.url,
        "swarm": swarm(item),
        "docker": item.docker,
        "error": item.error,
        "response_ms": u64::try_from(item.response_time.as_millis()).unwrap_or(u64::MAX),
        "age_seconds": item.age.map(|age| age.as_secs()),
        "instance_id": item.instance_id,
        "instance_type": item.facts.instance_type,
        "zone": item.facts.zone,
        "spot": item.facts.is_spot,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::tests::{broken, item};

    fn show(format: &str, items: &[ListItem]) -> String {
        let mut out = Vec::new();
        Format::parse(format)
            .unwrap()
            .write(items, &mut out)
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_plain_ls_is_a_table() {
        assert_eq!(
            show("", &[]),
            "NAME   ACTIVE   DRIVER   STATE   URL   SWARM   DOCKER   ERRORS\n"
        );
        assert_eq!(
            show("", &[item("swm"), broken("b")]),
            "NAME   ACTIVE   DRIVER      STATE     URL                     SWARM          DOCKER    ERRORS\n\
             swm    -        none        Running   tcp://127.0.0.1:23761   swm (master)   Unknown   \n\
             b               not found   Error                                                      cannot be read\n"
        );
    }

    #[test]
    fn fields_have_their_go_names_and_types() {
        let shown = show(
            r"{{.State}} {{.EngineOptions.Labels}} {{.SwarmOptions.Discovery}} {{.ResponseTime}}\t{{.EngineOptions.TLSVerify}}",
            &[item("a")],
        );
        assert_eq!(shown, "Running [a=b c=d] token://a 13ms\ttrue\n");
        assert_eq!(
            show("table {{.Name}}|{{.ResponseTime}}", &[]),
            "NAME|RESPONSE\n"
        );
        assert_eq!(
            show("{{if .SwarmOptions}}y{{else}}n{{end}}", &[broken("b")]),
            "n\n"
        );
    }

    #[test]
    fn facts_of_the_cloud_are_fields_and_keys() {
        let fields = "{{.Age}} {{.InstanceType}} {{.Zone}} {{.Spot}} {{.InstanceID}}";
        assert_eq!(
            show(fields, &[item("a")]),
            "3d4h t3.medium zone-a true i-1\n"
        );
        assert_eq!(show(fields, &[broken("b")]), "   false \n");
        let object: serde_json::Value = serde_json::from_str(&show("json", &[item("a")])).unwrap();
        assert_eq!(object["age_seconds"], 273_600);
        assert_eq!(
            (&object["zone"], &object["spot"]),
            (&"zone-a".into(), &true.into())
        );
        let object: serde_json::Value =
            serde_json::from_str(&show("json", &[broken("b")])).unwrap();
        assert!(object["age_seconds"].is_null());
    }

    #[test]
    fn a_template_can_show_json_and_table_alone_is_the_default() {
        let shown = show("{{json .}}", &[item("a")]);
        let object: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(
            (&object["Name"], &object["State"]),
            (&"a".into(), &"Running".into())
        );
        assert_eq!(show("{{json .Name}}", &[item("a")]), "\"a\"\n");
        assert_eq!(show("table", &[item("a")]), show("", &[item("a")]));
    }

    #[test]
    fn json_is_one_object_a_line() {
        let shown = show("json", &[item("a"), broken("b")]);
        let lines: Vec<serde_json::Value> = shown
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["name"], "a");
        assert_eq!(lines[0]["response_ms"], 12);
        assert_eq!(lines[1]["state"], "Error");
        assert!(lines[1]["docker"].is_null());
    }
}
