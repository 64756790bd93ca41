//! What is released: packages, checksums, notices.

mod dist;
