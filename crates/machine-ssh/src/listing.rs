//! Limits for the directory listing of a machine, which is untrusted and could be endless.

/// Maximum number of entries: more than a directory has that a user copies by SFTP.
const ENTRIES: usize = 100_000;

/// Maximum total size of all names: 80 bytes for each entry.
const BYTES: usize = 8 << 20;

/// Maximum number of responses without names. OpenSSH's server sends none.
const EMPTY_ANSWERS: usize = 16;

/// The names received so far.
#[derive(Default)]
pub(crate) struct Listing {
    names: Vec<String>,
    bytes: usize,
    /// Number of names, with `.` and `..`.
    count: usize,
    empty_answers: usize,
}

impl Listing {
    /// Adds the names of a response, except `.` and `..`.
    ///
    /// # Errors
    /// Returns the exceeded limit.
    pub(crate) fn add(&mut self, names: impl Iterator<Item = String>) -> Result<(), String> {
        let mut is_empty = true;
        for name in names {
            is_empty = false;
            self.count += 1;
            if self.count > ENTRIES {
                return Err(format!("more than {ENTRIES} entries{OTHER_WAYS}"));
            }
            if name == "." || name == ".." {
                continue;
            }
            self.bytes += name.len();
            self.names.push(name);
            if self.bytes > BYTES {
                let mebibytes = BYTES >> 20;
                return Err(format!("names of more than {mebibytes} MiB{OTHER_WAYS}"));
            }
        }
        self.empty_answers += usize::from(is_empty);
        match self.empty_answers > EMPTY_ANSWERS {
            true => Err(format!("more than {EMPTY_ANSWERS} answers without a name")),
            false => Ok(()),
        }
    }

    pub(crate) fn names(self) -> Vec<String> {
        self.names
    }
}

const OTHER_WAYS: &str = ": copy it with 'scp --delta', or as an archive";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_ends() {
        let mut listing = Listing::default();
        let names = ["a", ".", "b", ".."].map(str::to_owned);
        listing.add(names.into_iter()).unwrap();
        assert_eq!(listing.names(), ["a", "b"]);

        let mut listing = Listing::default();
        let error = (0..).find_map(|_| listing.add(["a".to_owned()].into_iter()).err());
        assert!(error.unwrap().starts_with("more than 100000 entries: "));

        let mut listing = Listing::default();
        let error = (0..).find_map(|_| listing.add([".".to_owned()].into_iter()).err());
        assert!(error.unwrap().starts_with("more than 100000 entries: "));

        let mut listing = Listing::default();
        let error = (0..).find_map(|_| listing.add(["a".repeat(1 << 16)].into_iter()).err());
        assert!(error.unwrap().starts_with("names of more than 8 MiB: "));

        let mut listing = Listing::default();
        let error = (0..).find_map(|_| listing.add(std::iter::empty()).err());
        assert_eq!(error.unwrap(), "more than 16 answers without a name");
    }
}
