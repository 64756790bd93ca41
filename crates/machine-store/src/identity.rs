//! What tells this store from all others, and a store from an empty mount point.
//!
//! Each resource in the cloud carries the id of the store that made it, and `prune` removes what carries the
//! store's id and belongs to none of its machines. Two stores with one id would remove each other's machines:
//! a manager's image with the store in it, an rsync to a new manager while the old one still runs. So the id's
//! file says in its second line where it was made (see [`crate::place`]), and where that is not here:
//!
//! - **New machines get a new id**, made by the first create: what is created here carries an id that no
//!   other store has, and the store at the other place cannot take it for its own.
//! - **Nothing that carries the former id is removed by its tags**, until a person says what happened.
//!   [`Store::confirm_moved`]: the former id is this store's as well. [`Store::confirm_copied`]: it is the other
//!   store's. Machines that exist are known by their own records and stay as they are either way.
//!
//! The file also says which directory held the machines (see [`crate::machines_directory`]). Where that one is not
//! there, its disk may not be mounted: the same question is asked, and the same holds until it is answered.
//!
//! A store that was moved gets a new id as well: a timer that was forgotten at the former place goes by the former
//! one. And each create gives the file a new time, so that a restored backup replaces the file, and tells.
//!
//! A question that is still open when the store is copied once more is dropped: its id then stays another's.
//! A file without a second line is of an older version, and gets one at the first write, silently.
//!
//! The file is replaced whole, under a lock, and names its own inode: whoever reads it sees one state or the
//! next, at any moment and after any crash. Readers take no lock and write nothing.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use machine_ops::Cx;
use machine_ops::files::{Links, has_one_name};
use machine_types::printable;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::disk::flags;
use crate::layout::STORE_ID;
use crate::lock::LockedFile;
use crate::machines_directory::MachinesDirectory;
use crate::place::{Medium, Place, Surroundings};
use crate::{Store, StoreError};

/// The longest id file: paths and names of two places.
const LIMIT: u64 = 64 << 10;
/// How long a change of the id waits for another one, which takes milliseconds.
const LOCK: Duration = Duration::from_secs(10);

/// 128 random bits as 32 hexadecimal digits; a tag's value in the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StoreId(String);

impl StoreId {
    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for StoreId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(text))
        } else {
            Err("expected 32 hexadecimal digits")
        }
    }
}

impl From<StoreId> for String {
    fn from(id: StoreId) -> Self {
        id.0
    }
}

/// The ids of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreIdentity {
    /// The id that new machines get; `None` where the next create makes a new one.
    pub current: Option<StoreId>,
    /// The ids that are this store's beyond doubt, the current one among them.
    pub own: Vec<StoreId>,
    /// Ids that may be another store's.
    pub unconfirmed: Option<Unconfirmed>,
    /// Whether the file says where it was made, and which directory held the machines.
    pub is_bound: bool,
}

/// Ids of a store that was moved or copied, or whose machines are not there, until a person says which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unconfirmed {
    /// The ids.
    pub ids: Vec<StoreId>,
    /// Where the store was made.
    pub there: Place,
    /// Where it is.
    pub here: Place,
    /// The directory of the machines, where it is another one than the store's, and the store is where it was made.
    pub machines: Option<String>,
}

impl fmt::Display for Unconfirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.machines {
            Some(path) => write!(
                f,
                "{} is not the directory that held the machines of this store (is its disk mounted?)",
                printable(path.as_bytes())
            ),
            None => write!(
                f,
                "the store was made at {}, and is at {}",
                self.there, self.here
            ),
        }
    }
}

/// What a store looks like to someone who wants to compare a cloud with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreCondition {
    /// The base directory is not there: not made yet, or its disk not mounted.
    Absent,
    /// The base directory is there, without an id: never used by this docker-machine, or a mount point
    /// without its disk.
    WithoutId {
        /// How many machines it has, all of the Go binary.
        machines: usize,
    },
    /// An id and no machines.
    Empty {
        /// The id.
        id: StoreId,
    },
    /// An id and machines.
    Used {
        /// The id.
        id: StoreId,
        /// How many.
        machines: usize,
    },
}

/// The second line of the id's file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Binding {
    place: Place,
    /// Former ids that are this store's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    also: Vec<StoreId>,
    /// The ids at the place that this store came from, until a person says whose they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    /// The directory that holds the machines; `None` in a file of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    machines: Option<MachinesDirectory>,
    #[serde(flatten)]
    of_later_versions: Map<String, Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Origin {
    ids: Vec<StoreId>,
    place: Place,
    /// As [`Unconfirmed::machines`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    machines: Option<String>,
}

/// The file as it was read, with the place that it was read at.
struct Found {
    id: StoreId,
    binding: Option<Binding>,
    here: Place,
    medium: Medium,
    /// The directory of the machines, where it is not the one on record.
    other_machines: Option<String>,
}

impl Found {
    fn is_in_place(&self) -> bool {
        let bound = self.binding.as_ref();
        bound.is_none_or(|bound| bound.place.is_here(&self.here, self.medium))
    }

    fn is_here(&self) -> bool {
        self.is_in_place() && self.other_machines.is_none()
    }

    fn is_bound(&self) -> bool {
        let bound = self.binding.as_ref();
        bound.is_some_and(|bound| bound.machines.is_some())
    }

    /// Returns the question to ask where the store is not as it was made.
    fn question(&self) -> Option<Origin> {
        let place = self.binding.as_ref()?.place.clone();
        let machines = self.other_machines.clone().filter(|_| self.is_in_place());
        let mut ids = self.ids();
        // The directory may have been another one before: one answer for both.
        let open = self.origin().filter(|open| open.machines.is_some());
        if machines.is_some()
            && let Some(open) = open
        {
            ids.extend(open.ids);
        }
        Some(Origin {
            ids,
            place,
            machines,
        })
    }

    /// Returns all ids that were in force where the file was made.
    fn ids(&self) -> Vec<StoreId> {
        let also = self.binding.iter().flat_map(|bound| bound.also.clone());
        std::iter::once(self.id.clone()).chain(also).collect()
    }

    fn origin(&self) -> Option<Origin> {
        self.binding.as_ref()?.origin.clone()
    }

    fn identity(self) -> StoreIdentity {
        let (is_here, is_bound, ids) = (self.is_here(), self.is_bound(), self.ids());
        let open = match is_here {
            true => self.origin(),
            false => self.question(),
        };
        let unconfirmed = open.map(|origin| Unconfirmed {
            ids: origin.ids,
            there: origin.place,
            here: self.here,
            machines: origin.machines,
        });
        StoreIdentity {
            current: is_here.then_some(self.id),
            own: if is_here { ids } else { Vec::new() },
            unconfirmed,
            is_bound,
        }
    }
}

/// What is to be written.
struct Change {
    id: StoreId,
    also: Vec<StoreId>,
    origin: Option<Origin>,
}

impl Store {
    fn id_path(&self) -> PathBuf {
        self.layout.under(STORE_ID)
    }

    /// Reads the store's id, wherever it was made; `None` where it has none yet.
    ///
    /// # Errors
    /// [`StoreError::BadStoreId`] where the file holds something else; the disk.
    pub fn id(&self) -> Result<Option<StoreId>, StoreError> {
        Ok(self.read_id()?.map(|(id, ..)| id))
    }

    /// Reads which ids are this store's, and which may be another's; `None` where it has none yet.
    ///
    /// # Errors
    /// As [`Store::id`].
    pub fn identity(&self) -> Result<Option<StoreIdentity>, StoreError> {
        Ok(self.found_id()?.map(Found::identity))
    }

    fn read_id(&self) -> Result<Option<(StoreId, Option<Binding>, fs::Metadata)>, StoreError> {
        let path = self.id_path();
        let (bytes, metadata) = match self.disk.read_with_metadata(&path, LIMIT, Links::Refuse) {
            Err(error) if error.is_missing() => return Ok(None),
            other => other?,
        };
        let parsed = std::str::from_utf8(&bytes).ok().and_then(|text| {
            let (id, rest) = text.trim().split_once('\n').unwrap_or((text, ""));
            let id = StoreId::try_from(id.trim().to_owned()).ok()?;
            let binding = match rest.trim() {
                "" => None,
                line => Some(serde_json::from_str::<Binding>(line).ok()?),
            };
            Some((id, binding))
        });
        let (id, binding) = parsed.ok_or(StoreError::BadStoreId { path })?;
        Ok(Some((id, binding, metadata)))
    }

    fn found_id(&self) -> Result<Option<Found>, StoreError> {
        let Some((id, binding, metadata)) = self.read_id()? else {
            return Ok(None);
        };
        let (here, medium) = self
            .place_of(&metadata)
            .map_err(|source| StoreError::disk("read", self.base(), source))?;
        let recorded = binding.as_ref().and_then(|bound| bound.machines.as_ref());
        let is_other = match recorded {
            Some(recorded) => !self.has_machines_of(recorded)?,
            None => false,
        };
        let machines = self.layout.machines();
        Ok(Some(Found {
            id,
            binding,
            here,
            medium,
            other_machines: is_other.then(|| machines.to_string_lossy().into_owned()),
        }))
    }

    /// Names the place of an id file.
    fn place_of(&self, file: &fs::Metadata) -> io::Result<(Place, Medium)> {
        let base = self.base();
        let directory = fs::metadata(base)?;
        let path = fs::canonicalize(base).unwrap_or_else(|_| base.to_owned());
        let path = path.to_string_lossy().into_owned();
        let around = match &self.surroundings {
            Some(around) => Surroundings::clone(around),
            None => Surroundings::of(base, &directory),
        };
        let medium = around.medium;
        Ok((Place::new(path, &directory, file, around), medium))
    }

    /// Returns the id for a new machine, and makes it where there is none, or where the one that is there was made
    /// elsewhere. Many at once agree on one.
    ///
    /// # Errors
    /// As [`Store::id`]; [`StoreError::Locked`]; [`StoreError::Cancelled`].
    pub async fn ensure_id(&self, cx: &Cx) -> Result<StoreId, StoreError> {
        if let Some(StoreIdentity {
            current: Some(id),
            is_bound: true,
            ..
        }) = self.identity()?
        {
            return Ok(id);
        }
        let changed = self.change_id(cx, |found, fresh| {
            let Some(found) = found else {
                return Some(Change::to(fresh));
            };
            if found.is_here() {
                return (!found.is_bound()).then(|| Change::of(found));
            }
            Some(Change {
                origin: found.question(),
                ..Change::to(fresh)
            })
        });
        changed.await?;
        let path = self.id_path();
        let identity = self.identity()?;
        identity
            .and_then(|identity| identity.current)
            .ok_or(StoreError::BadStoreId { path })
    }

    /// Records that the store was moved to where it is: its former ids are its own. New machines get a new id, for
    /// a timer that was forgotten at the former place goes by the former one. Returns whether there was anything to
    /// record.
    ///
    /// # Errors
    /// As [`Store::ensure_id`].
    pub async fn confirm_moved(&self, cx: &Cx) -> Result<bool, StoreError> {
        self.change_id(cx, |found, fresh| {
            let found = found?;
            let also = found.binding.as_ref()?.also.clone();
            match (found.is_here(), found.origin()) {
                (false, open) => {
                    let asked = found.question()?;
                    let is_answered = asked.machines.is_some();
                    Some(Change {
                        also: asked.ids,
                        // What the other place was not sure of is not certain here either.
                        origin: open.filter(|open| !(is_answered && open.machines.is_some())),
                        ..Change::to(fresh)
                    })
                }
                (true, Some(origin)) => Some(Change {
                    also: also.into_iter().chain(origin.ids).collect(),
                    ..Change::to(found.id.clone())
                }),
                (true, None) => None,
            }
        })
        .await
    }

    /// Records that the store is a copy: the id of the one that it was copied from is not its own. Returns
    /// whether there was anything to record.
    ///
    /// # Errors
    /// As [`Store::ensure_id`].
    pub async fn confirm_copied(&self, cx: &Cx) -> Result<bool, StoreError> {
        self.change_id(cx, |found, fresh| {
            let found = found?;
            let also = found.binding.as_ref()?.also.clone();
            match (found.is_here(), found.origin()) {
                (false, _) => Some(Change::to(fresh)),
                (true, Some(_)) => Some(Change {
                    also,
                    ..Change::to(found.id.clone())
                }),
                (true, None) => None,
            }
        })
        .await
    }

    /// Replaces the id's file under its lock, by what `decide` makes of the file and a fresh id. Returns whether it
    /// made anything.
    async fn change_id(
        &self,
        cx: &Cx,
        decide: impl FnOnce(Option<&Found>, StoreId) -> Option<Change>,
    ) -> Result<bool, StoreError> {
        self.disk.make_directories(self.base())?;
        let lock = self.layout.lock("-store-id");
        let _lock = LockedFile::wait(&self.disk, &lock, "store id", LOCK, cx).await?;
        let found = self.found_id()?;
        let (high, low) = (self.disk.ambient.random(), self.disk.ambient.random());
        let fresh = StoreId(format!("{high:016x}{low:016x}"));
        let Some(change) = decide(found.as_ref(), fresh) else {
            return Ok(false);
        };
        let machines = self.mark_directory()?;
        let of_later_versions = found
            .and_then(|found| found.binding)
            .map(|bound| bound.of_later_versions);
        self.disk.write_with(&self.id_path(), 0o600, |metadata| {
            let (place, _) = self.place_of(metadata)?;
            let binding = Binding {
                place,
                also: change.also,
                origin: change.origin,
                machines: Some(machines),
                of_later_versions: of_later_versions.unwrap_or_default(),
            };
            let line = serde_json::to_string(&binding)?;
            Ok(format!("{}\n{line}\n", change.id).into_bytes())
        })?;
        Ok(true)
    }

    /// Gives the id's file a new time, after each create: a backup that is restored in place replaces the file then,
    /// by one with another inode, and is told from the store. As well as it can be done: the machine is there.
    pub(crate) fn touch_id(&self) {
        let path = self.id_path();
        let options = fs::OpenOptions::new()
            .read(true)
            .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK))
            .open(&path);
        let Ok(file) = options else { return };
        if let Ok(found) = file.metadata()
            && has_one_name(&found)
            && let Ok(before) = found.modified()
        {
            // rsync compares whole seconds.
            let next = before + Duration::from_secs(1);
            let _ = file.set_modified(self.disk.ambient.now().max(next));
        }
    }

    /// Tells what state the store as a whole is in.
    ///
    /// # Errors
    /// As [`Store::id`] and [`Store::names`].
    pub fn condition(&self) -> Result<StoreCondition, StoreError> {
        if !self.base().is_dir() {
            return Ok(StoreCondition::Absent);
        }
        let machines = self.names()?.len();
        Ok(match (self.id()?, machines) {
            (None, machines) => StoreCondition::WithoutId { machines },
            (Some(id), 0) => StoreCondition::Empty { id },
            (Some(id), machines) => StoreCondition::Used { id, machines },
        })
    }
}

impl Change {
    /// Everything as it is.
    fn of(found: &Found) -> Self {
        let also = found.binding.iter().flat_map(|bound| bound.also.clone());
        Self {
            id: found.id.clone(),
            also: also.collect(),
            origin: found.origin(),
        }
    }

    fn to(id: StoreId) -> Self {
        Self {
            id,
            also: Vec::new(),
            origin: None,
        }
    }
}
