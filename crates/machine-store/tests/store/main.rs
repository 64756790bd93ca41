//! The store through its public interface, on real files.

#![allow(clippy::unwrap_used)]

mod create_logs;
mod faults;
mod hostile;
mod identity;
mod journal;
mod locks;
mod machines;
mod records;
mod tombstones;

use std::path::Path;
use std::sync::Arc;

use machine_ops::{Cx, MemoryJournal, SystemAmbient};
use machine_store::{HostOptions, MachineFile, MachineRecord, NewFile, Store};
use machine_types::MachineName;
use serde_json::json;

fn store(base: &Path) -> Store {
    Store::new(base, Arc::new(SystemAmbient::new()))
}

fn name(text: &str) -> MachineName {
    text.parse().unwrap()
}

fn record(text: &str) -> MachineRecord {
    let driver = json!({"MachineName": text, "IPAddress": "127.0.0.1"});
    MachineRecord::new(&name(text), "none", driver, HostOptions::default())
}

const KEY: NewFile<'static> = NewFile::of(MachineFile::SshKey, "private");

/// Makes a machine of this name.
fn create(store: &Store, text: &str) {
    let lock = store.try_lock_machine(&name(text)).unwrap().unwrap();
    store.create(&lock, &record(text), &[KEY]).unwrap();
}

fn cx() -> Cx {
    Cx::new(Arc::<MemoryJournal>::default())
}

fn names(store: &Store) -> Vec<String> {
    let names = store.names().unwrap();
    names.iter().map(ToString::to_string).collect()
}

/// Lists all entries of a directory, including those that begin with a dot.
fn entries(directory: &Path) -> Vec<String> {
    let mut all: Vec<String> = std::fs::read_dir(directory)
        .map(|entries| {
            entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect()
        })
        .unwrap_or_default();
    all.sort();
    all
}
