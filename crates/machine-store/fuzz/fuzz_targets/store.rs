//! Parses arbitrary bytes as a `config.json` and as a journal: no input causes a panic, everything that is read can
//! be written, and written data reads back the same.
//!
//! `cargo +nightly fuzz run store` in `crates/machine-store`.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use machine_store::{CONFIG_VERSION, FileJournal, MachineRecord, StoreError};
use machine_types::MachineName;

fuzz_target!(|bytes: &[u8]| {
    config(bytes);
    journal(bytes);
});

fn config(bytes: &[u8]) {
    let (path, base) = (Path::new("/s/machines/m1/config.json"), Path::new("/s"));
    let name: MachineName = "m1".parse().unwrap();
    let parse = |bytes: &[u8]| MachineRecord::parse(bytes, &name, path, base);
    let Ok(record) = parse(bytes) else { return };
    if record.config_version > CONFIG_VERSION {
        let refused = record.to_bytes(path);
        assert!(matches!(refused, Err(StoreError::Newer { .. })));
        return;
    }
    let written = record.to_bytes(path).unwrap();
    let again = parse(&written).unwrap().to_bytes(path).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&written),
        String::from_utf8_lossy(&again)
    );
}

fn journal(bytes: &[u8]) {
    let path = Path::new("/s/machines/m1/.journal");
    let Ok(entries) = FileJournal::parse(bytes, path) else {
        return;
    };
    let mut written = Vec::new();
    for entry in &entries {
        serde_json::to_writer(&mut written, entry).unwrap();
        written.push(b'\n');
    }
    assert_eq!(FileJournal::parse(&written, path).unwrap(), entries);
    // An incomplete last line is not an entry.
    written.extend(b"{\"step\":9");
    assert_eq!(FileJournal::parse(&written, path).unwrap(), entries);
}
