//! The accounts of access keys, known to every client of this process.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The accounts known to this process, by endpoint and access key.
static LEARNED: Mutex<BTreeMap<(String, String), String>> = Mutex::new(BTreeMap::new());

/// Returns the account of an access key, if this process knows it.
pub(crate) fn remembered(endpoint: &str, access_key: &str) -> Option<String> {
    let learned = LEARNED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (endpoint.to_owned(), access_key.to_owned());
    learned.get(&key).cloned()
}

/// Caches the account of an access key for every client of this process.
pub(crate) fn remember(endpoint: &str, access_key: &str, account: &str) {
    let mut learned = LEARNED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (endpoint.to_owned(), access_key.to_owned());
    learned.insert(key, account.to_owned());
}
