//! The views of all sites, shared between the consumer and those who listen.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use millstream_runtime::Clock;
use millstream_schemas::{DecodeError, SchemaIds, purposes};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use tokio::sync::watch;

use crate::config::{ServeConfig, SiteTokens};
use crate::row::{Framed, long, text};
use crate::site::{SiteViews, VisitorVersion};
use crate::stream::Stream;

struct Site {
    views: SiteViews,
    stream: Stream,
}

/// Live views. Made once; the consumer writes, connections read.
pub struct Live {
    pub(crate) config: ServeConfig,
    purposes: i32,
    sites: Mutex<HashMap<String, Site>>,
    clock: Arc<dyn Clock>,
    /// Whether everything that was committed before has been read, so that what comes now is new.
    caught_up: AtomicBool,
    /// Counts batches; the sender's end closes what listens.
    changes: Mutex<Option<watch::Sender<u64>>>,
    listen: watch::Receiver<u64>,
}

/// What a record came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Applied,
    OtherSite,
    Unknown,
    TooLong,
    Unreadable,
}

impl Live {
    /// Views of the sites that have a read token. A purpose that there is not allows nothing: see [`purposes::parse`].
    pub fn new(config: ServeConfig, sites: &[SiteTokens], clock: Arc<dyn Clock>) -> Arc<Self> {
        let wanted = config.purposes.iter().map(|name| purposes::parse(name).unwrap_or(i32::MIN));
        let purposes = wanted.fold(0, |all, bit| all | bit);
        let read = sites.iter().filter(|site| !site.read_tokens.is_empty());
        let sites = read
            .map(|site| (site.name.clone(), Site { views: SiteViews::new(&config), stream: Stream::default() }))
            .collect();
        let (sender, listen) = watch::channel(0);
        Arc::new(Self {
            config,
            purposes,
            sites: Mutex::new(sites),
            clock,
            caught_up: AtomicBool::new(false),
            changes: Mutex::new(Some(sender)),
            listen,
        })
    }

    /// Applies one record of an output topic.
    pub(crate) fn take(&self, value: &[u8], ids: &SchemaIds) -> Taken {
        if value.len() > self.config.max_row_bytes {
            return Taken::TooLong;
        }
        let Some(framed) = Framed::read(value, ids) else { return Taken::Unknown };
        match self.take_framed(&framed) {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!(record = framed.schema.name, %error, "a record cannot be read; it is left out of the live views");
                Taken::Unreadable
            }
        }
    }

    fn take_framed(&self, framed: &Framed<'_>) -> Result<Taken, DecodeError> {
        let [site, event, source_event, received_at] =
            framed.fields(["site", "event_id", "source_event", "received_at"])?;
        let mut sites = self.sites.lock();
        let Some(site) = sites.get_mut(text(&site)) else { return Ok(Taken::OtherSite) };
        if self.caught_up.load(Ordering::Relaxed) {
            let now_ms = self.clock.now_ms();
            match framed.schema.name {
                "event" => site.stream.event(text(&event), long(&received_at), now_ms),
                "propensity" => site.stream.score(text(&source_event), now_ms),
                _ => {}
            }
        }
        site.views.apply(framed)?;
        Ok(Taken::Applied)
    }

    /// Tells listeners that something may have changed.
    pub(crate) fn changed(&self) {
        if let Some(sender) = self.changes.lock().as_ref() {
            sender.send_modify(|batches| *batches = batches.wrapping_add(1));
        }
    }

    /// Says whether everything committed has been read.
    pub(crate) fn set_caught_up(&self, caught_up: bool) {
        self.caught_up.store(caught_up, Ordering::Relaxed);
    }

    /// Ends every open stream: the process stops.
    pub fn close(&self) {
        self.changes.lock().take();
    }

    /// Hears of changes; closed with the process.
    pub(crate) fn listen(&self) -> watch::Receiver<u64> {
        self.listen.clone()
    }

    /// A device's picture where it differs from the one of version `known`.
    pub(crate) fn visitor_since(
        &self,
        site: &str,
        device: &str,
        known: Option<VisitorVersion>,
    ) -> Option<(VisitorVersion, Json)> {
        let sites = self.sites.lock();
        let views = &sites.get(site)?.views;
        let version = views.visitor_version(device, self.purposes);
        (known != Some(version)).then(|| (version, views.visitor(device, self.purposes)))
    }

    /// The site's figures now.
    pub(crate) fn figures(&self, site: &str) -> Json {
        let now_ms = self.clock.now_ms();
        let caught_up = self.caught_up.load(Ordering::Relaxed);
        let sites = self.sites.lock();
        let Some(site) = sites.get(site) else { return Json::Null };
        let mut figures = json!({ "at": now_ms, "state": if caught_up { "live" } else { "catching_up" } });
        for part in [site.stream.figures(now_ms), site.views.totals()] {
            if let (Some(all), Json::Object(part)) = (figures.as_object_mut(), part) {
                all.extend(part);
            }
        }
        figures
    }
}
