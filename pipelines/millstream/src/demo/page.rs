//! The demo's shop page, where one's own clicks are scored live.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use axum::Router;
use millstream_serve::shop::{self, ShopKeys};

use crate::cli::DemoArgs;
use crate::config::Config;
use crate::demo::visitors;
use crate::error::Failure;
use crate::progress::tell;
use crate::sender::Sender;
use crate::services::Services;
use crate::serving::Serving;

/// Random bytes of a read token.
const TOKEN_BYTES: usize = 16;
const RANDOM: &str = "/dev/urandom";

/// Gives the demo's site a read token that holds for this run only, and returns it.
///
/// # Errors
/// Where the machine has no source of randomness.
pub fn add_read_token(config: &mut Config, site: &str) -> Result<String, Failure> {
    let mut bytes = [0u8; TOKEN_BYTES];
    File::open(RANDOM)
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|error| Failure::file(Path::new(RANDOM), error))?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    for section in config.sites.iter_mut().filter(|section| section.name == site) {
        section.read_tokens.push(token.clone());
    }
    Ok(token)
}

/// The page and what it reads, to be served beside the collector. `None` where the collector does not listen on this machine alone:
/// the page holds a read token.
pub fn of(config: &Config, serving: &Serving, write_key: &str, read_token: &str) -> Option<Router> {
    let keys = ShopKeys { write_key: write_key.to_owned(), read_token: read_token.to_owned() };
    config.collect.listen.ip().is_loopback().then(|| shop::router(&keys).merge(serving.routes()))
}

/// Says where the page is, and lets other visitors in unless one wants to be alone.
pub fn open_for_visitors(url: &str, write_key: &str, args: &DemoArgs, services: &mut Services) {
    tell(&format!("The shop is open: {url}/shop\n\nClick around in it; beside it you see how each click is scored.\n"));
    if !args.alone {
        let (sender, seed) = (Sender::new(url, write_key), args.seed);
        services.start("visitors", move |stop| {
            if let Err(error) = visitors::come_by(seed, &sender, stop) {
                // The page works without them.
                tracing::warn!(%error, "no more visitors come to the demo's shop");
            }
            Ok(())
        });
    }
}
