//! Which model scores whose sessions: said by control records of kind `model_promotion`, from their position in the log on.
//!
//! The body names the model, its artefact by the hash of its content, and its role:
//! `{"model":"propensity","artefact":"<32 hexadecimal digits>","role":"champion"}`. A record without a site concerns every site that
//! has none of its own. `{"model":"heuristic","role":"fallback"}` takes a promotion back. Because artefacts are named by content, a
//! replay over a promotion gives the same bytes.
//!
//! Artefacts come through an [`ArtefactStore`], for loading is I/O. One that is not there stops the task and says so
//! ([`Models::blocked`]): going on with another scorer would write what a replay would not. One that is there and cannot score here (it
//! was made for other features, say) is refused with a reason, and what scored before goes on: the labelled fallback, where nothing
//! was promoted before.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use millstream_operators::core::encoding::{write, write_id};
use millstream_operators::core::{StateError, StateReader};
use millstream_schemas::Id;
use millstream_schemas::input::Reason;
use millstream_scoring::{ArtefactError, Heuristic, Model, Scorer, builtin, content_hash};
use serde::Deserialize;

/// The `kind` of control records that [`Models::apply`] reads.
pub const MODEL_PROMOTION_KIND: &str = "model_promotion";

/// Sites that have a model of their own, at most.
const SITES_MAX: usize = 10_000;

/// Where artefacts are kept, by the hash of their content.
pub trait ArtefactStore: Send + Sync {
    /// The bytes of an artefact.
    ///
    /// # Errors
    /// Why they cannot be had now, and what to do, in words for the operator.
    fn load(&self, content: Id) -> Result<Arc<[u8]>, String>;
}

/// Artefacts in memory: those that come with the program, and what is added.
#[derive(Debug, Clone, Default)]
pub struct MemoryArtefacts {
    artefacts: BTreeMap<Id, Arc<[u8]>>,
}

impl MemoryArtefacts {
    /// No artefacts.
    pub fn new() -> Self {
        Self::default()
    }

    /// The artefacts that come with the program.
    pub fn builtin() -> Self {
        let mut artefacts = Self::new();
        artefacts.add(builtin::PROPENSITY);
        artefacts
    }

    /// Adds an artefact and returns its name.
    pub fn add(&mut self, bytes: &[u8]) -> Id {
        let content = Id(content_hash(bytes));
        self.artefacts.insert(content, Arc::from(bytes));
        content
    }

    /// Names of all of them.
    pub fn names(&self) -> impl Iterator<Item = Id> + '_ {
        self.artefacts.keys().copied()
    }
}

impl ArtefactStore for MemoryArtefacts {
    fn load(&self, content: Id) -> Result<Arc<[u8]>, String> {
        let found = self.artefacts.get(&content).cloned();
        found
            .ok_or_else(|| format!("no artefact {content} comes with this program, and no folder of artefacts is read"))
    }
}

/// A promotion, as the record's body says it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Promotion {
    model: String,
    #[serde(default)]
    artefact: Option<String>,
    role: String,
}

/// Why a promotion was refused; what scored before goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromotionError {
    /// The body cannot be read.
    #[error("the promotion for site {site:?} cannot be read: {detail}")]
    Malformed {
        /// The site; empty for all.
        site: String,
        /// What is wrong.
        detail: String,
    },
    /// The role is none that can be promoted to.
    #[error(
        "the promotion for site {site:?} asks for the role {role:?}; a model becomes `champion`, and `heuristic` is the `fallback`"
    )]
    Role {
        /// The site; empty for all.
        site: String,
        /// The role asked for.
        role: String,
    },
    /// The artefact cannot score here.
    #[error("the promotion for site {site:?} names artefact {artefact}, which cannot score here: {error}")]
    Unusable {
        /// The site; empty for all.
        site: String,
        /// The artefact.
        artefact: Id,
        /// Why.
        error: ArtefactError,
    },
    /// The artefact is another model's.
    #[error("the promotion for site {site:?} is of the model {wanted:?}, but artefact {artefact} is {found:?}")]
    OtherModel {
        /// The site; empty for all.
        site: String,
        /// The artefact.
        artefact: Id,
        /// The model promoted.
        wanted: String,
        /// The artefact's.
        found: String,
    },
    /// There are too many sites.
    #[error("site {site:?} would be one more than the {SITES_MAX} sites that can have a model of their own")]
    TooMany {
        /// The site.
        site: String,
    },
}

impl PromotionError {
    /// Why, as the catalogue calls it, and the field at fault where it is one.
    pub fn reason(&self) -> (Reason, Option<&'static str>) {
        match self {
            Self::Malformed { .. } => (Reason::WrongType, Some("body")),
            Self::Role { .. } => (Reason::OutOfRange, Some("role")),
            Self::Unusable { .. } | Self::OtherModel { .. } => (Reason::UnusableModel, Some("artefact")),
            Self::TooMany { .. } => (Reason::OutOfRange, Some("site")),
        }
    }
}

/// What a site was promoted to.
#[derive(Clone)]
enum Champion {
    /// The fallback, by a promotion that takes another back.
    Fallback,
    /// A model.
    Model {
        /// Its name.
        model: Box<str>,
        /// Its artefact.
        artefact: Id,
        /// It, where the artefact could be loaded; why not, else. Then the task is blocked.
        loaded: Result<Arc<Model>, Arc<str>>,
    },
}

/// Champions by site; empty for every site that has none of its own.
type Champions = Arc<BTreeMap<Box<str>, Champion>>;

/// Version of the encoding.
const VERSION: u8 = 1;

/// Who scores, now and as of the last commit.
#[derive(Clone)]
pub struct Models {
    store: Arc<dyn ArtefactStore>,
    fallback: Arc<dyn Scorer>,
    now: Champions,
    committed: Champions,
}

impl Models {
    /// Nothing has been promoted: `fallback` scores everything.
    pub fn new(store: Arc<dyn ArtefactStore>, fallback: Arc<dyn Scorer>) -> Self {
        Self { store, fallback, now: Champions::default(), committed: Champions::default() }
    }

    /// Who scores a site's sessions.
    pub fn scorer(&self, site: &str) -> &dyn Scorer {
        if self.now.is_empty() {
            return &*self.fallback;
        }
        match self.now.get(site).or_else(|| self.now.get("")) {
            // One that is not loaded blocks: nobody asks.
            Some(Champion::Model { loaded: Ok(model), .. }) => &**model,
            _ => &*self.fallback,
        }
    }

    /// Takes in the body of a promotion for `site` (empty for all).
    ///
    /// # Errors
    /// Where the promotion is refused. An artefact that cannot be had is no error: it blocks.
    pub fn apply(&mut self, site: &str, body: &str) -> Result<(), PromotionError> {
        let named = || site.to_owned();
        let malformed = |detail: String| PromotionError::Malformed { site: named(), detail };
        let promotion: Promotion = serde_json::from_str(body).map_err(|error| malformed(error.to_string()))?;
        let champion = match (promotion.role.as_str(), promotion.model == Heuristic.model()) {
            ("fallback", true) => Champion::Fallback,
            ("champion", false) => {
                let artefact = promotion.artefact.as_deref().unwrap_or_default();
                let artefact = Id::from_hex(artefact.as_bytes()).ok_or_else(|| {
                    malformed(format!("artefact is {artefact:?}; the 32 hexadecimal digits of its hash were expected"))
                })?;
                let loaded = match load(&*self.store, artefact) {
                    Ok(loaded) => Ok(Arc::new(accept(site, artefact, &promotion.model, loaded)?)),
                    Err(why) => Err(why.into()),
                };
                Champion::Model { model: promotion.model.into(), artefact, loaded }
            }
            _ => return Err(PromotionError::Role { site: named(), role: promotion.role }),
        };
        if self.now.len() >= SITES_MAX && !self.now.contains_key(site) {
            return Err(PromotionError::TooMany { site: named() });
        }
        Arc::make_mut(&mut self.now).insert(Box::from(site), champion);
        Ok(())
    }

    /// Why no more input can be taken, if so: something was promoted whose artefact cannot be had.
    pub fn blocked(&self) -> Option<String> {
        self.now.values().find_map(|champion| match champion {
            Champion::Model { model, artefact, loaded: Err(why) } => {
                Some(format!("the log promotes model {model} with artefact {artefact}, which cannot be loaded: {why}"))
            }
            _ => None,
        })
    }

    /// Makes the changes since the last commit permanent.
    pub fn commit(&mut self) {
        self.committed = self.now.clone();
    }

    /// Takes back the changes since the last commit. What blocked is tried again.
    pub fn undo(&mut self) {
        self.now = self.committed.clone();
        self.load_missing();
    }

    fn load_missing(&mut self) {
        if self.blocked().is_none() {
            return;
        }
        for (site, champion) in Arc::make_mut(&mut self.now) {
            let Champion::Model { model, artefact, loaded } = champion else { continue };
            if loaded.is_err() {
                // It was accepted once. Where this program refuses it, going on without it would be another logic.
                *loaded = load(&*self.store, *artefact).map_err(Arc::from).and_then(|found| {
                    accept(site, *artefact, model, found).map(Arc::new).map_err(|error| error.to_string().into())
                });
            }
        }
        self.committed = self.now.clone();
    }

    /// Appends what was promoted where, for a snapshot. Nothing may be open that could be undone.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        write::long(out, self.now.len() as i64);
        for (site, champion) in &*self.now {
            write::str(out, site);
            let promoted = match champion {
                Champion::Fallback => None,
                Champion::Model { model, artefact, .. } => Some((model, *artefact)),
            };
            write::optional(out, promoted, |out, (model, artefact)| {
                write::str(out, model);
                write_id(out, artefact);
            });
        }
    }

    /// Takes in what [`Models::encode`] wrote, in this version of it or an older one, and loads the artefacts. One that cannot be had
    /// blocks ([`Models::blocked`]); it is never replaced by another scorer.
    ///
    /// # Errors
    /// Where the encoding is damaged or of an unknown version.
    pub fn restore(&mut self, value: &[u8]) -> Result<(), StateError> {
        let (_, mut reader) = StateReader::versioned(value, VERSION)?;
        let mut champions = BTreeMap::new();
        for _ in 0..reader.count("sites with a model of their own", SITES_MAX)? {
            let site = Box::from(reader.str()?);
            let promoted = reader.optional(|reader| Ok((Box::from(reader.str()?), reader.id()?)))?;
            let champion = match promoted {
                None => Champion::Fallback,
                Some((model, artefact)) => Champion::Model { model, artefact, loaded: Err("not loaded yet".into()) },
            };
            champions.insert(site, champion);
        }
        reader.finish()?;
        self.committed = Arc::new(champions);
        self.undo();
        Ok(())
    }

    /// What scores where, for people; sites that score as all others do are not named.
    pub fn about(&self) -> String {
        let names = self.now.iter().map(|(site, champion)| {
            let site = if site.is_empty() { "all" } else { site };
            match champion {
                Champion::Fallback => format!("{site}: {}", self.fallback.model()),
                Champion::Model { artefact, loaded: Ok(model), .. } => {
                    format!("{site}: {} {} ({artefact})", model.model(), model.version())
                }
                Champion::Model { model, artefact, .. } => format!("{site}: {model} ({artefact})"),
            }
        });
        // Some, where there are many sites.
        let names: Vec<String> = names.take(20).collect();
        if names.is_empty() { format!("all: {}", self.fallback.model()) } else { names.join(", ") }
    }
}

fn load(store: &dyn ArtefactStore, artefact: Id) -> Result<Result<Model, ArtefactError>, String> {
    let bytes = store.load(artefact)?;
    let found = Id(content_hash(&bytes));
    if found != artefact {
        return Err(format!("what is kept under that name has the hash {found}: it was changed; restore it"));
    }
    Ok(Model::load(&bytes))
}

fn accept(
    site: &str,
    artefact: Id,
    wanted: &str,
    loaded: Result<Model, ArtefactError>,
) -> Result<Model, PromotionError> {
    let site = || site.to_owned();
    let model = loaded.map_err(|error| PromotionError::Unusable { site: site(), artefact, error })?;
    if model.model() != wanted {
        let (wanted, found) = (wanted.to_owned(), model.model().to_owned());
        return Err(PromotionError::OtherModel { site: site(), artefact, wanted, found });
    }
    Ok(model)
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Models").field("champions", &self.about()).finish_non_exhaustive()
    }
}
