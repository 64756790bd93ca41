//! Hundreds of machines: listing, creates and removals at once, memory of what ships.

mod footprint;
mod many_creates;
mod many_machines;
