//! Whose an event is: its source and its person, decided per device, in the order of the device's partition.
//!
//! A *source* is a device between logins, or a known user without device. Its *person* is the user once one is known, before that
//! the source itself. Every event that names a user identifies its device, an `identify` event as much as a page view.
//!
//! | the device is | the event names | then |
//! |---|---|---|
//! | new | nobody | its source is created, anonymous |
//! | anonymous | user A | the source becomes A's: its person changes, and what it did before comes along |
//! | A's | nobody, or A | nothing changes |
//! | A's | user B | A's source stays A's; a new source begins, B's |
//! | A's | user B by `identify` | the same, and the joining of A and B that it asks for is refused, recorded and counted |
//! | A's | logout | the event is still A's; the next begins a new source |
//! | anonymous | logout | nothing changes: nobody was logged in |
//!
//! So two identified users never become one, and a second device of a user is simply another source of the same person. A user
//! named on a logout does not identify.

use std::borrow::Cow;

use millstream_operators::core::encoding::write;
use millstream_operators::core::{StateError, StateReader, UndoMap};
use millstream_schemas::Id;

/// The source of a device's `login`-th time between logins, from 0.
pub fn source_of_device(site: &str, device: &str, login: u32) -> Id {
    Id::of(&[site.as_bytes(), b"device", device.as_bytes(), &login.to_be_bytes()])
}

/// The source of a user's events without device.
pub fn source_of_user(site: &str, user: &str) -> Id {
    Id::of(&[site.as_bytes(), b"user", user.as_bytes()])
}

/// The person of an identified user.
pub fn person_of_user(site: &str, user: &str) -> Id {
    Id::of(&[site.as_bytes(), user.as_bytes()])
}

/// The person of a source whose user is not known.
pub fn person_of_source(site: &str, source: Id) -> Id {
    Id::of(&[site.as_bytes(), &source.0.to_be_bytes()])
}

/// Who an event says it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A device, perhaps with a user.
    Device {
        /// The tracker's device id.
        device: &'a str,
        /// The user named on the event.
        user: Option<&'a str>,
    },
    /// A user without device.
    User(&'a str),
}

/// What an event does to identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// An explicit `identify`.
    Identify,
    /// A `logout`.
    Logout,
    /// Anything else.
    Other,
}

/// What happened to the event's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was known, and is whose it was.
    None,
    /// It is new and anonymous.
    Created,
    /// It is new and its user is known.
    CreatedIdentified,
    /// It was anonymous and its user became known: its person changed from this one.
    Identified {
        /// Whom it belonged to.
        from: Id,
    },
}

/// The joining of two users that an `identify` asked for and did not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The source that stays as it was.
    pub source: Id,
    /// Its person.
    pub person: Id,
    /// Its user.
    pub user: Box<str>,
}

/// Whose an event is.
#[derive(Debug, PartialEq, Eq)]
pub struct Assignment<'a> {
    /// The source.
    pub source: Id,
    /// The source's person.
    pub person: Id,
    /// The user behind the person, once known.
    pub user: Option<Cow<'a, str>>,
    /// What happened to the source.
    pub change: Change,
    /// What was refused.
    pub refusal: Option<Refusal>,
}

/// What is known of a device, or of a user without device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// How many sources of the device ended before this one.
    login: u32,
    /// The user of the current source.
    user: Option<Box<str>>,
    /// What the visitor allows, as bits; `None` until they said.
    consent: Option<u8>,
    /// Whether an event of the current source has been seen.
    created: bool,
}

/// Version of the encoding of an [`Entry`].
const VERSION: u8 = 1;

impl Entry {
    /// Appends it, for a snapshot.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        write::long(out, i64::from(self.login));
        write::optional(out, self.user.as_deref(), write::str);
        write::optional(out, self.consent, |out, bits| write::long(out, i64::from(bits)));
        write::bool(out, self.created);
    }

    /// Reads what [`Entry::encode`] wrote, in this version of it or an older one.
    ///
    /// # Errors
    /// Where it is damaged or of an unknown version.
    pub fn decode(value: &[u8]) -> Result<Self, StateError> {
        let (_, mut reader) = StateReader::versioned(value, VERSION)?;
        let entry = Self {
            login: reader.small()?,
            user: reader.optional(StateReader::str)?.map(Box::from),
            consent: reader.optional(StateReader::small)?,
            created: reader.bool()?,
        };
        reader.finish()?;
        Ok(entry)
    }
}

/// What an entry costs, about: table slot, hash byte, load factor, and a user id of 16 bytes for every second one.
pub const BYTES_PER_ENTRY: usize = 96;

/// Identity of the devices, and of the users without device, of one partition. Changes since the last commit can be taken back.
///
/// An entry is small and never expires: who a device belongs to must still be known when it returns after a year. Their number is
/// bounded by [`Identities::over_budget`].
#[derive(Debug)]
pub struct Identities {
    pub(crate) entries: UndoMap<u128, Entry>,
    max_entries: usize,
}

impl Identities {
    /// Nobody known; at most `max_entries` devices and users.
    pub fn new(max_entries: usize) -> Self {
        Self { entries: UndoMap::new(), max_entries }
    }

    /// The key of a subject's entry; also the source of a user without device.
    pub fn key(site: &str, subject: Subject<'_>) -> Id {
        match subject {
            Subject::Device { device, .. } => Id::of(&[site.as_bytes(), b"device", device.as_bytes()]),
            Subject::User(user) => source_of_user(site, user),
        }
    }

    /// What the visitor behind `key` allows, if they said.
    pub fn consent(&self, key: Id) -> Option<i32> {
        self.entries.get(key.0)?.consent.map(i32::from)
    }

    /// Remembers what the visitor behind `key` allows.
    pub fn set_consent(&mut self, key: Id, purposes: i32) {
        let bits = u8::try_from(purposes & millstream_schemas::purposes::ALL).unwrap_or_default();
        if self.entries.get(key.0).and_then(|entry| entry.consent) != Some(bits) {
            self.entries.get_or_insert_with(key.0, Entry::default).consent = Some(bits);
        }
    }

    /// Decides whose an event is; `key` is [`Identities::key`] of the same subject.
    pub fn assign<'a>(&'a mut self, site: &str, key: Id, subject: Subject<'a>, act: Act) -> Assignment<'a> {
        match subject {
            Subject::User(user) => self.assign_user(site, key, user),
            Subject::Device { device, user } => {
                let user = user.filter(|_| act != Act::Logout);
                self.assign_device(site, key, device, user, act)
            }
        }
    }

    /// Ends a login though the event that says so is not kept: without consent nothing of it may be used, but the device must not
    /// stay somebody's either.
    pub fn end_login(&mut self, key: Id) {
        if self.entries.get(key.0).is_some_and(|entry| entry.user.is_some()) {
            let entry = self.entries.get_or_insert_with(key.0, Entry::default);
            *entry = Entry { login: entry.login + 1, user: None, consent: entry.consent, created: false };
        }
    }

    fn assign_user<'a>(&'a mut self, site: &str, key: Id, user: &'a str) -> Assignment<'a> {
        let known = self.entries.get(key.0).is_some_and(|entry| entry.created);
        if !known {
            self.entries.get_or_insert_with(key.0, Entry::default).created = true;
        }
        let change = if known { Change::None } else { Change::CreatedIdentified };
        Assignment { source: key, person: person_of_user(site, user), user: Some(user.into()), change, refusal: None }
    }

    fn assign_device<'a>(
        &'a mut self,
        site: &str,
        key: Id,
        device: &str,
        named: Option<&'a str>,
        act: Act,
    ) -> Assignment<'a> {
        let (login, created, same_user) = match self.entries.get(key.0) {
            None => (0, false, named.is_none()),
            Some(entry) => {
                let same = named.is_none() || named == entry.user.as_deref();
                (entry.login, entry.created, same)
            }
        };
        let mut refusal = None;
        let mut change = Change::None;
        let mut source = source_of_device(site, device, login);
        if !created || !same_user {
            let entry = self.entries.get_or_insert_with(key.0, Entry::default);
            match (entry.user.take(), named) {
                // Somebody else's: a new source.
                (Some(held), Some(user)) if created && &*held != user => {
                    if act == Act::Identify {
                        refusal = Some(Refusal { source, person: person_of_user(site, &held), user: held });
                    }
                    entry.login += 1;
                    source = source_of_device(site, device, entry.login);
                    entry.user = Some(user.into());
                    change = Change::CreatedIdentified;
                }
                (None, Some(user)) => {
                    change = if created {
                        Change::Identified { from: person_of_source(site, source) }
                    } else {
                        Change::CreatedIdentified
                    };
                    entry.user = Some(user.into());
                }
                (held, _) => {
                    entry.user = held;
                    change = Change::Created;
                }
            }
            entry.created = true;
        }
        if act == Act::Logout {
            return self.assign_logout(site, key, source, change);
        }
        let user = match named {
            Some(user) => Some(user),
            None => self.entries.get(key.0).and_then(|entry| entry.user.as_deref()),
        };
        let person = match user {
            Some(user) => person_of_user(site, user),
            None => person_of_source(site, source),
        };
        Assignment { source, person, user: user.map(Cow::Borrowed), change, refusal }
    }

    /// The logout itself still belongs to the source it ends.
    fn assign_logout<'a>(&mut self, site: &str, key: Id, source: Id, change: Change) -> Assignment<'a> {
        let user = self.entries.get(key.0).and_then(|entry| entry.user.as_deref()).map(str::to_owned);
        let person = match &user {
            Some(user) => person_of_user(site, user),
            None => person_of_source(site, source),
        };
        self.end_login(key);
        Assignment { source, person, user: user.map(Cow::Owned), change, refusal: None }
    }

    /// Devices and users known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many devices and users are known, where that is more than there may be.
    pub fn over_budget(&self) -> Option<OverBudget> {
        (self.len() > self.max_entries).then_some(OverBudget { entries: self.len(), max_entries: self.max_entries })
    }

    /// Bytes held to take the epoch back, about.
    pub fn undo_bytes(&self) -> usize {
        self.entries.saved_len() * BYTES_PER_ENTRY
    }

    /// Makes the changes since the last commit permanent.
    pub fn commit(&mut self) {
        self.entries.commit();
    }

    /// Takes back the changes since the last commit.
    pub fn undo(&mut self) {
        self.entries.undo();
    }
}

/// More devices and users than the task may hold: nobody may be forgotten, so the partition must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{entries} devices and users are known, {max_entries} may be: raise the limit or spread the input over more partitions"
)]
pub struct OverBudget {
    /// How many there are.
    pub entries: usize,
    /// How many there may be.
    pub max_entries: usize,
}
