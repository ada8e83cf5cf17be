//! `millstream models`

use std::io::{Write, stdout};
use std::sync::Arc;

use millstream_profile::MODEL_PROMOTION_KIND;
use millstream_runtime::SystemClock;
use millstream_schemas::Id;
use millstream_scoring::{Heuristic, Scorer};
use serde_json::json;

use crate::app::App;
use crate::artefacts::{Artefacts, Found};
use crate::cli::ModelsCommand;
use crate::config::Config;
use crate::control::{self, Change};
use crate::error::Failure;
use crate::progress::tell;

/// Lists, adds or promotes.
///
/// # Errors
/// Where the log cannot be reached, or a model is not there.
pub fn run(config: Config, command: &ModelsCommand) -> Result<(), Failure> {
    let artefacts = Artefacts::of(&config);
    match command {
        ModelsCommand::Add { file } => {
            let content = artefacts.add(file)?;
            tell(&format!("added; `millstream models promote {content}` lets it score"));
            Ok(())
        }
        ModelsCommand::List => list(config, &artefacts),
        ModelsCommand::Promote { model, site } => {
            let site = site.as_deref().unwrap_or_default();
            if !site.is_empty() && config.sites.iter().all(|known| known.name != site) {
                return Err(Failure::new(format!("no site is called {site:?} in the configuration")));
            }
            let app = App::open(config, Arc::new(SystemClock::new()))?;
            let body = promote(&app, &artefacts, model, site)?;
            let whose = if site.is_empty() {
                "every site without a model of its own".to_owned()
            } else {
                format!("site {site}")
            };
            tell(&format!("{whose}: {body}"));
            Ok(())
        }
    }
}

/// Publishes a promotion for `site` (empty for all) and returns its body; nothing is published where the log says it already.
///
/// # Errors
/// Where no such model can score here, or the log cannot be written.
pub fn promote(app: &App, artefacts: &Artefacts, model: &str, site: &str) -> Result<String, Failure> {
    let body = if model == Heuristic.model() {
        json!({ "model": model, "role": "fallback" })
    } else {
        let found = choose(artefacts.list()?, model)?;
        let (name, _) = found.model.map_err(|why| Failure::new(format!("artefact {}: {why}", found.content)))?;
        json!({ "model": name, "artefact": found.content.to_string(), "role": "champion" })
    };
    let change = Change { kind: MODEL_PROMOTION_KIND, site: site.to_owned(), body: body.to_string() };
    let (transport, now_ms) = (app.transport.as_ref(), app.clock.now_ms());
    control::publish_changes(transport, &app.config.namespace, &app.ids, std::slice::from_ref(&change), now_ms)?;
    Ok(change.body)
}

/// The artefact with this hash, or the only one of a model with this name.
fn choose(found: Vec<Found>, wanted: &str) -> Result<Found, Failure> {
    let content = Id::from_hex(wanted.as_bytes());
    let is_wanted = |found: &Found| match (content, &found.model) {
        (Some(content), _) => found.content == content,
        (None, Ok((name, _))) => name == wanted && found.place == "built in",
        (None, Err(_)) => false,
    };
    let names: Vec<String> = found.iter().map(|found| found.content.to_string()).collect();
    found.into_iter().find(is_wanted).ok_or_else(|| {
        Failure::new(format!(
            "{wanted:?} is neither the name of a model that comes with the program nor the hash of an artefact that is there ({}); \
             see `millstream models list`",
            names.join(", ")
        ))
    })
}

fn list(config: Config, artefacts: &Artefacts) -> Result<(), Failure> {
    let mut text = String::new();
    for found in artefacts.list()? {
        let model = match &found.model {
            Ok((name, version)) => format!("{name} {version}"),
            Err(why) => format!("cannot score here: {why}"),
        };
        text.push_str(&format!("{}  {model}, {} bytes, {}\n", found.content, found.bytes, found.place));
    }
    let app = App::open(config, Arc::new(SystemClock::new()))?;
    let promoted = control::latest(app.transport.as_ref(), &app.config.namespace, &app.ids, MODEL_PROMOTION_KIND)?;
    if promoted.is_empty() {
        text.push_str("nothing is promoted: the heuristic scores, as role `fallback`\n");
    }
    for (site, body) in promoted {
        let whose = if site.is_empty() { "every site without a model of its own" } else { &site };
        text.push_str(&format!("{whose}: {body}\n"));
    }
    Ok(stdout().write_all(text.as_bytes())?)
}
