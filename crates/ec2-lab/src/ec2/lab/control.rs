//! The control endpoint of `ec2-lab serve`: `POST /_lab/…` with JSON offers the functions that tests use through
//! [`crate::ec2::Lab`].

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::ec2::faults::capacity::Shortage;
use crate::ec2::faults::consistency::{Blindness, Kind};
use crate::ec2::faults::injection::Fault;
use crate::ec2::faults::throttle::{Buckets, Throttling};
use crate::ec2::lab::core::Core;
use crate::ec2::lab::policy::{Denial, KeyState};

#[derive(Deserialize)]
struct Advance {
    milliseconds: u64,
}

#[derive(Deserialize)]
struct Key {
    access_key: String,
    state: KeyState,
}

#[derive(Deserialize)]
struct Blind {
    kind: Kind,
    blindness: Blindness,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Throttle {
    Documented(bool),
    Limits(Throttling),
}

/// Executes one command; returns the HTTP status and a JSON text.
pub(crate) fn handle(core: &Core, path: &str, body: &[u8]) -> (u16, String) {
    let answer = command(core, path, body);
    core.notify();
    match answer {
        Ok(value) => (200, value.to_string()),
        Err(reason) => (400, json!({ "error": reason }).to_string()),
    }
}

fn command(core: &Core, path: &str, body: &[u8]) -> Result<Value, String> {
    match path {
        "advance" => {
            let by: Advance = read(body)?;
            core.clock.advance(Duration::from_millis(by.milliseconds));
        }
        "fault" => {
            let fault: Fault = read(body)?;
            return Ok(json!({ "fault": core.lock().faults.add(fault) }));
        }
        "shortage" => {
            let shortage: Shortage = read(body)?;
            core.lock().world.shared.shortages.0.push(shortage);
        }
        "deny" => {
            let denial: Denial = read(body)?;
            core.lock().policy.denials.push(denial);
        }
        "key" => {
            let key: Key = read(body)?;
            core.lock().policy.keys.insert(key.access_key, key.state);
        }
        "blind" => {
            let blind: Blind = read(body)?;
            core.lock().blindness.insert(blind.kind, blind.blindness);
        }
        "throttle" => {
            let limits = match read(body)? {
                Throttle::Documented(on) => on.then(Throttling::documented),
                Throttle::Limits(limits) => Some(limits),
            };
            let mut inner = core.lock();
            inner.throttling = limits;
            inner.buckets = Buckets::default();
        }
        "heal" => core.heal(),
        "calls" => {
            let calls = serde_json::to_value(&core.lock().calls);
            return calls.map_err(|e| e.to_string());
        }
        other => return Err(format!("no command '{other}'")),
    }
    Ok(json!({}))
}

fn read<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|e| e.to_string())
}
