//! Hundreds of machines: concurrent listing, creates and removals, and the memory of the release executable.

mod fleeting;
mod footprint;
mod many_creates;
mod many_machines;
