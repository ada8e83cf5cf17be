//! `millstream generate`

use std::fs::File;
use std::io::{BufWriter, Write, stdout};

use millstream_simulator::{RequestWriter, SimConfig, Simulator};

use crate::cli::GenerateArgs;
use crate::error::Failure;
use crate::progress::Progress;
use crate::sender::Sender;

/// Events in a request.
const REQUEST_EVENTS: usize = 100;

/// Plays a shop and sends or writes its events, a request a line.
///
/// # Errors
/// Where the configuration cannot be played, or the file or collector fails.
pub fn run(args: &GenerateArgs) -> Result<(), Failure> {
    let config = SimConfig { people: args.people, days: args.days, seed: args.seed, ..SimConfig::default() };
    let mut simulator = Simulator::new(config)?;
    let mut progress = Progress::of_share("generating");
    let mut writer = RequestWriter::new(REQUEST_EVENTS);
    let mut out = Target::open(args)?;
    let mut events = 0u64;
    while let Some(delivery) = simulator.next() {
        events += 1;
        if events.is_multiple_of(1_000) {
            progress.at_permille(simulator.progress_permille(delivery.arrives_ms), "of the days");
        }
        writer.push(&delivery, &mut |request| out.put(&request.body))?;
    }
    writer.finish(&mut |request| out.put(&request.body))?;
    out.end()?;
    progress.done(&format!("{events} events"));
    if let Some(path) = &args.truth {
        let truth = simulator.truth().to_json()?;
        std::fs::write(path, truth).map_err(|error| Failure::file(path, error))?;
    }
    Ok(())
}

enum Target {
    Lines(Box<dyn Write>),
    Collector(Sender),
}

impl Target {
    fn open(args: &GenerateArgs) -> Result<Self, Failure> {
        Ok(match (&args.to, &args.out) {
            (Some(url), _) => Self::Collector(Sender::new(url, &args.write_key)),
            (None, Some(path)) => {
                Self::Lines(Box::new(BufWriter::new(File::create(path).map_err(|error| Failure::file(path, error))?)))
            }
            (None, None) => Self::Lines(Box::new(BufWriter::new(stdout()))),
        })
    }

    fn put(&mut self, body: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Lines(out) => {
                out.write_all(body)?;
                Ok(out.write_all(b"\n")?)
            }
            Self::Collector(sender) => sender.send(body).map(drop),
        }
    }

    fn end(&mut self) -> Result<(), Failure> {
        match self {
            Self::Lines(out) => Ok(out.flush()?),
            Self::Collector(_) => Ok(()),
        }
    }
}
