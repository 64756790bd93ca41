//! `ec2-lab serve`: the endpoint for people and scripts, without hosts or with simulated ones.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use ec2_lab::ec2::{ACCESS_KEY, Cidr, Lab, OTHER_ACCESS_KEY, Throttling};
use ec2_lab::hosts::{HostOptions, SimulatedHosts};

/// Returns the command line of `serve`.
pub(crate) fn command() -> Command {
    let option =
        |name: &'static str, value: &'static str| Arg::new(name).long(name).value_name(value);
    Command::new("serve")
        .about("Serve EC2's Query protocol until interrupted")
        .arg(
            option("listen", "ADDRESS")
                .value_parser(value_parser!(SocketAddr))
                .default_value("127.0.0.1:5005")
                .help("Where to listen"),
        )
        .arg(
            option("pending", "TIME")
                .value_parser(duration)
                .default_value("0s")
                .help("Duration of the state pending: 6s, 500ms"),
        )
        .arg(
            option("vpc-cidr", "BLOCK")
                .value_parser(cidr)
                .help("The default VPC's block [default: 172.31.0.0/16]"),
        )
        .arg(
            option("log", "FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Append every call as a line of JSON"),
        )
        .arg(
            option("throttle", "BUCKETS")
                .value_parser(["documented"])
                .help("Throttle by EC2's documented token buckets"),
        )
        .arg(
            Arg::new("hosts")
                .long("hosts")
                .action(ArgAction::SetTrue)
                .conflicts_with("vpc-cidr")
                .help(
                    "Boot a simulated host for each instance, on loopback, with sshd on port 2222. Sessions are \
                     processes of this user: they can read and change this computer's files, not only the host's",
                ),
        )
}

/// Serves until a signal asks to end.
///
/// # Errors
/// The endpoint cannot be started, or there is no address for its hosts.
pub(crate) async fn run(options: &ArgMatches) -> Result<(), Box<dyn std::error::Error>> {
    let mut lab = Lab::builder();
    if let Some(address) = options.get_one::<SocketAddr>("listen") {
        lab = lab.listen(*address);
    }
    if let Some(time) = options.get_one::<Duration>("pending") {
        lab = lab.pending(*time);
    }
    if let Some(cidr) = options.get_one::<Cidr>("vpc-cidr") {
        lab = lab.vpc_cidr(*cidr);
    }
    if let Some(path) = options.get_one::<PathBuf>("log") {
        lab = lab.log(path);
    }
    if options.contains_id("throttle") {
        lab = lab.throttling(Throttling::documented());
    }
    if options.get_flag("hosts") {
        let hosts = SimulatedHosts::new(HostOptions::default())?;
        lab = lab.loopback().hosts(Arc::new(hosts));
    }
    let lab = lab.start().await?;
    println!("EC2 at {}", lab.endpoint());
    println!("access keys {ACCESS_KEY} and {OTHER_ACCESS_KEY}, any secret key");
    crate::interrupted().await?;
    Ok(())
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| format!("'{text}' is no time"))?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" | "" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        unit => Err(format!("unknown unit '{unit}': use ms, s or m")),
    }
}

fn cidr(text: &str) -> Result<Cidr, String> {
    Cidr::parse(text)
        .filter(|c| c.prefix <= 24)
        .ok_or_else(|| format!("'{text}' is not a block of at least a /24"))
}
