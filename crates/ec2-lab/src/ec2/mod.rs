//! The EC2 Query endpoint: state, eventual consistency, faults.
