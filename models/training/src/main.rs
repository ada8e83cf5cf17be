//! `millstream-training rows` and `pack`: what `scripts/train` runs before and after XGBoost.

#![allow(clippy::print_stdout, reason = "a command that reports")]

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use millstream_scoring::artefact::hex;
use millstream_scoring::{Model, content_hash};
use millstream_training::make::{self, Plan};
use millstream_training::{card, pack, rows};

/// Makes the propensity model.
#[derive(Debug, Parser)]
#[command(name = "millstream-training", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulates the reserved seeds through the real operators and writes labelled rows.
    Rows {
        /// Where to.
        #[arg(long)]
        folder: PathBuf,
        /// People for each seed.
        #[arg(long, default_value_t = Plan::standard().people)]
        people: u32,
        /// Days for each seed.
        #[arg(long, default_value_t = Plan::standard().days)]
        days: u32,
    },
    /// Calibrates and judges what XGBoost trained, and writes artefact and card.
    Pack {
        /// Where rows and forests are.
        #[arg(long)]
        folder: PathBuf,
        /// Version of the model.
        #[arg(long)]
        version: String,
        /// Folder of artefacts.
        #[arg(long)]
        artefacts: PathBuf,
        /// Folder of cards.
        #[arg(long)]
        cards: PathBuf,
    },
}

/// Writes a file whose content is another: what is compiled in is not compiled again for nothing.
fn write_changed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|known| known == bytes) {
        println!("{} is as it was", path.display());
        return Ok(());
    }
    fs::write(path, bytes)
}

fn main() -> Result<(), Box<dyn Error>> {
    match Cli::parse().command {
        Command::Rows { folder, people, days } => {
            let plan = Plan { people, days, ..Plan::standard() };
            let (description, all) = make::rows(&plan, |seed, rows| {
                let bought = rows.iter().filter(|row| row.session).count();
                println!("seed {seed}: {} rows, {bought} followed by an order in the session", rows.len());
            })?;
            rows::write(&folder, &description, &all)?;
            println!("{} rows in {}", all.len(), folder.display());
        }
        Command::Pack { folder, version, artefacts, cards } => {
            let (description, rows) = rows::read(&folder)?;
            let packed = pack::pack(&folder, &version, &description, &rows)?;
            let bytes = packed.artefact.to_bytes()?;
            // What is written is what can be loaded.
            Model::load(&bytes)?;
            let content = hex(content_hash(&bytes));
            let card = card::markdown(&packed, &content, bytes.len());
            fs::create_dir_all(&artefacts)?;
            fs::create_dir_all(&cards)?;
            write_changed(&artefacts.join(format!("propensity-{version}.json")), &bytes)?;
            write_changed(&cards.join(format!("propensity-{version}.md")), card.as_bytes())?;
            println!("{card}");
        }
    }
    Ok(())
}
