//! Entry point: reads the environment of the process, runs the command line, and exits.

use std::io::{BufReader, IsTerminal as _, Write as _, stderr, stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use docker_machine::environment::Environment;
use docker_machine::output::console::{Console, Terminals};
use docker_machine::output::terminal;
use docker_machine::{World, run, signals};
use libmachine::{Cancel, SystemAmbient};

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        terminal::restore();
        let text = format!("docker-machine: this is a bug: {panic}\n");
        // Standard error may be closed.
        let _ = std::io::Write::write_all(&mut stderr(), text.as_bytes());
    }));
    let world = world();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let status = match runtime {
        Ok(runtime) => {
            let status = runtime.block_on(run(world));
            // A thread that still reads standard input must not delay the exit.
            runtime.shutdown_background();
            status.code()
        }
        Err(_) => 1,
    };
    terminal::restore();
    ExitCode::from(status)
}

fn world() -> World {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let variables = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
    let environment = Environment::new(variables);
    // A dumb terminal cannot move its cursor: it gets plain lines, as a pipe does.
    let is_smart = environment.get("TERM").is_some_and(|term| term != "dumb");
    let terminals = Terminals {
        out: stdout().is_terminal(),
        err: stderr().is_terminal() && is_smart,
        dumb: stderr().is_terminal() && !is_smart,
        columns: columns(),
        // See no-color.org; an empty variable counts as unset here, as everywhere.
        colour: is_smart && environment.get("NO_COLOR").is_none(),
    };
    World {
        args: std::env::args_os().map(text).collect(),
        // Does not read the user database: for that, the C library loads plug-ins.
        home: environment.get("HOME").map(PathBuf::from),
        directory: std::env::current_dir().unwrap_or_else(|_| "/".into()),
        console: Arc::new(Console::new(
            Box::new(stdout()),
            Box::new(stderr()),
            terminals,
        )),
        input: Arc::new(Mutex::new(Box::new(BufReader::new(stdin())))),
        ambient: Arc::new(SystemAmbient::new()),
        environment,
        cancel: Cancel::new(),
        listen: |cancel| signals::listen(cancel, leave),
    }
}

/// Restores the terminal, and tells the user what a second signal interrupts.
fn leave(first: &str, second: &str) {
    terminal::restore();
    if stderr().is_terminal() {
        // The terminal may be gone.
        let _ = writeln!(
            stderr(),
            "\nstopped by {second} before the cleanup after {first} was complete: check with docker-machine ls and docker-machine prune"
        );
    }
}

fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stdout())
        .or_else(|_| rustix::termios::tcgetwinsize(stderr()))
        .ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns >= 20)
}
