//! Context of every command: the process's environment as `main` read it, and the library built on it.

use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

use libmachine::{Ambient, Cancel, CertificatePaths, Events, Library, Settings};
use machine_driver::{DriverKind, Options};

use crate::environment::Environment;
use crate::failure::Failure;
use crate::fetch::Fetch;
use crate::output::console::{Console, Pieces, Stream};
use crate::output::prompt::{self, Input};
use crate::telemetry::Telemetry;

/// Process environment as `main` read it; tests construct their own.
pub struct World {
    /// Command-line arguments, starting with the program name.
    pub args: Vec<String>,
    /// The environment variables.
    pub environment: Environment,
    /// Home directory of the user.
    pub home: Option<PathBuf>,
    /// Base directory of relative paths.
    pub directory: PathBuf,
    /// Standard output and standard error.
    pub console: Arc<Console>,
    /// Standard input, read for answers to prompts.
    pub input: Arc<Mutex<Input>>,
    /// The clock.
    pub ambient: Arc<dyn Ambient>,
    /// Cancellation token, set by the first signal.
    pub cancel: Cancel,
    /// Starts the signal handlers; until then signals have their default effect.
    pub listen: fn(Cancel),
}

/// Context of every command.
pub struct Context {
    /// Process environment as `main` read it.
    pub world: World,
    /// The library.
    pub library: Library,
}

impl Context {
    /// Builds the library from the global flags.
    pub fn new(
        world: World,
        store: PathBuf,
        global: &Options,
        drivers: Vec<Arc<dyn DriverKind>>,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let library = library(&world, store, global, drivers, telemetry);
        Self { world, library }
    }

    /// Asks a question on standard output. Returns `None` if there is no answer.
    ///
    /// # Errors
    /// Fails if a signal arrives first.
    pub async fn confirm(&self, question: &str) -> Result<Option<bool>, Failure> {
        let world = &self.world;
        prompt::confirm(&world.console, &world.input, &world.cancel, question).await
    }

    /// Writes a line to standard output.
    pub fn print(&self, line: &str) {
        self.world.console.line(Stream::Out, line);
    }

    /// Writes a line to standard error.
    pub fn complain(&self, line: &str) {
        self.world.console.line(Stream::Err, line);
    }

    /// Returns a writer to standard output, for output that is written in parts.
    pub fn pieces(&self) -> Pieces<'_> {
        Pieces {
            console: &self.world.console,
            stream: Stream::Out,
        }
    }
}

/// Builds the library from the global flags.
pub(crate) fn library(
    world: &World,
    store: PathBuf,
    global: &Options,
    drivers: Vec<Arc<dyn DriverKind>>,
    events: Arc<dyn Events>,
) -> Library {
    let mut certificates = CertificatePaths::of_store(&store);
    for (flag, path) in [
        ("tls-ca-cert", &mut certificates.ca),
        ("tls-ca-key", &mut certificates.ca_key),
        ("tls-client-cert", &mut certificates.client),
        ("tls-client-key", &mut certificates.client_key),
    ] {
        let given = global.string(flag);
        if !given.is_empty() {
            *path = world.directory.join(given);
        }
    }
    let environment = &world.environment;
    let ssh = world.home.as_ref().map(|home| home.join(".ssh"));
    let settings = Settings {
        store: store.clone(),
        certificates,
        user: environment.get("USER").unwrap_or("unknown").to_owned(),
        ssh_agent: environment.get("SSH_AUTH_SOCK").map(PathBuf::from),
        // The names that OpenSSH tries, in the same order (ssh_config(5), IdentityFile).
        user_keys: ["id_rsa", "id_ecdsa", "id_ed25519"]
            .iter()
            .filter_map(|name| Some(ssh.as_ref()?.join(name)))
            .collect(),
    };
    Library::new(settings, drivers, events, world.cancel.clone())
        .with_ambient(world.ambient.clone())
        .with_fetch(Arc::new(Fetch::new(&world.environment)))
}

/// Removes `//`, `/.` and `/x/..` from a path without reading the file system, as Go's `filepath.Clean` does.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match (part, clean.components().next_back()) {
            (Component::CurDir, _) | (Component::ParentDir, Some(Component::RootDir)) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => {
                clean.pop();
            }
            (part, _) => clean.push(part),
        }
    }
    match clean.as_os_str().is_empty() {
        true => ".".into(),
        false => clean,
    }
}

/// Storage directory of a command that works without one. It does not exist (Debian Policy 9.2.3).
pub(crate) const NO_STORE: &str = "/nonexistent/.docker/machine";

/// Error if no storage directory is configured.
pub(crate) const NO_STORE_SET: &str =
    "no storage directory: set --storage-path, $MACHINE_STORAGE_PATH or $HOME";

/// Returns the root directory of the store.
///
/// # Errors
/// Fails if no storage directory is configured.
pub(crate) fn store_path(world: &World, global: &Options) -> Result<PathBuf, Failure> {
    let given = global.string("storage-path");
    if !given.is_empty() {
        // A relative path stays relative in config.json and in output, so that the store can be moved together with
        // the working directory.
        return Ok(clean(Path::new(&given)));
    }
    match &world.home {
        Some(home) => Ok(home.join(".docker").join("machine")),
        None => Err(Failure::new(NO_STORE_SET)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_by_their_text() {
        for (path, cleaned) in [
            ("/a//b/./c/../d", "/a/b/d"),
            ("/..", "/"),
            ("store", "store"),
            ("./store/", "store"),
            ("sub/../store", "store"),
            ("../store", "../store"),
            ("../../a/../store", "../../store"),
            (".", "."),
            ("a/..", "."),
        ] {
            assert_eq!(clean(Path::new(path)), Path::new(cleaned), "{path}");
        }
    }
}
