//! The release: packages, checksums, notices.

mod dist;
