//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Tracker events in, scores and tables out: sessions, orders and purchase propensity on a durable log.
///
/// Without a configuration file everything runs embedded in `.millstream` of the current folder: log, operators and warehouse in
/// one process. Start with `millstream demo`.
#[derive(Debug, Parser)]
#[command(name = "millstream", version, propagate_version = true)]
pub struct Cli {
    /// Configuration file (TOML). Every key has a default; `MILLSTREAM__SECTION__KEY` overrides it.
    #[arg(long, short, global = true, env = "MILLSTREAM_CONFIG")]
    pub config: Option<PathBuf>,
    /// Log as JSON, one object a line.
    #[arg(long, global = true)]
    pub log_json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Everything embedded, with a simulated shop's traffic, anew each time; ends with a summary. The collector stays up unless
    /// --exit.
    Demo(DemoArgs),
    /// Collector, operators and delivery. Name some to run only those.
    Run(RunArgs),
    /// Only the HTTP collector.
    Collect,
    /// Only delivery to the warehouse.
    Deliver,
    /// Processes what is in the log, takes a snapshot at the committed offset and ends: before an upgrade that changes the logic.
    Drain,
    /// History from CSV, JSONL or Parquet by a mapping file; resumes after a crash.
    Import(ImportArgs),
    /// A seeded shop simulator with known ground truth, to a file or to a collector.
    Generate(GenerateArgs),
    /// SQL on the warehouse.
    Query(QueryArgs),
    /// What customers were expected to do on a day: purchases ahead and the probability of at least one, from the orders known then.
    AsOf(AsOfArgs),
    /// Which model scores: lists what is there, adds artefacts, promotes one.
    Models(ModelsArgs),
    /// Recorded input run again, and compared with what was written: proof that nothing was lost, and the way to a rebuilt namespace.
    Replay(ReplayArgs),
    /// Creates the topics that are missing.
    Topics,
    /// Creates and migrates the warehouse's tables.
    Migrate,
    /// Whether everything that came in is accounted for: compares ledgers, topics and tables and names what differs. Ends with 0 where
    /// nothing differs, 1 where something does, 2 where it could not be checked.
    Verify(VerifyArgs),
    /// Dead letters: lists them, shows one, sends their events through ingest again.
    #[command(name = "dlq")]
    DeadLetters(DeadLettersArgs),
    /// Validates configuration and connectivity and says what is wrong: logins, settings that weaken a promise, tables, transactions
    /// that hang. Where some are open in the log it waits for their ends, up to 30 s.
    Check,
}

/// `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// People in the simulated shop.
    #[arg(long, default_value_t = 300)]
    pub people: u32,
    /// Days of traffic.
    #[arg(long, default_value_t = 7)]
    pub days: u32,
    /// Seed: the same seed gives the same traffic.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// The summary as one JSON object on standard output.
    #[arg(long)]
    pub json: bool,
    /// End the process after the summary; otherwise the collector stays up, with a shop page where your own clicks are scored.
    #[arg(long)]
    pub exit: bool,
    /// Let nobody else into the shop of that page; otherwise simulated visitors keep its stream moving.
    #[arg(long, conflicts_with = "exit")]
    pub alone: bool,
}

/// A service of `run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Service {
    /// The HTTP collector.
    Collect,
    /// Raw bytes to events.
    Ingest,
    /// Per-person operators.
    Profile,
    /// Topics to tables.
    Deliver,
    /// Live reads, where `serve.listen` is set.
    Serve,
}

/// `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Which services; all where none is named. The embedded log is one process's, so there all run together.
    #[arg(value_enum)]
    pub services: Vec<Service>,
}

/// `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Mapping file (see examples/mappings).
    #[arg(long, short)]
    pub mapping: PathBuf,
    /// Data files: CSV with any delimiter, JSONL or Parquet, gzip too.
    #[arg(required = true)]
    pub data: Vec<PathBuf>,
    /// Write to the log only; operators and delivery run elsewhere (Kafka).
    #[arg(long)]
    pub log_only: bool,
}

/// `generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// People in the simulated shop.
    #[arg(long, default_value_t = 1_000)]
    pub people: u32,
    /// Days of traffic.
    #[arg(long, default_value_t = 7)]
    pub days: u32,
    /// Seed.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Collector to send to, such as http://127.0.0.1:8080.
    #[arg(long, conflicts_with = "out")]
    pub to: Option<String>,
    /// Write key for `--to`.
    #[arg(long, env = "MILLSTREAM_WRITE_KEY", default_value = "demo-write-key", hide_env_values = true)]
    pub write_key: String,
    /// JSONL file of events; standard output where neither `--to` nor `--out` is given.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// File for the ground truth (JSON).
    #[arg(long)]
    pub truth: Option<PathBuf>,
}

/// `models`.
#[derive(Debug, Args)]
pub struct ModelsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ModelsCommand,
}

/// The commands of `models`.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// The artefacts that can be promoted, and who scores which site.
    List,
    /// Copies an artefact into the data directory's folder `models`, under the hash of its content. Every process that runs the
    /// profile stage needs it there before it is promoted.
    Add {
        /// The artefact, as `scripts/train` writes it.
        file: PathBuf,
    },
    /// Lets a model score from now on, by a record in the log.
    Promote {
        /// A model's name (`propensity`: the one that comes with the program), the hash of an artefact, or `heuristic` to take a
        /// promotion back.
        model: String,
        /// Only this site's sessions; all sites that have no model of their own where it is left out.
        #[arg(long)]
        site: Option<String>,
    },
}

/// `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ReplayCommand,
}

/// The commands of `replay`. They read the log; `rebuild` writes into a namespace of its own, `hand-over` makes that the one in use.
#[derive(Debug, Subcommand)]
pub enum ReplayCommand {
    /// Runs tasks again over their recorded input, from a snapshot that is kept, and compares every transaction's outputs with the
    /// ledger, bit for bit. Nothing is written.
    Tasks {
        /// Only this stage: ingest or profile.
        #[arg(long)]
        stage: Option<String>,
        /// Only this input partition.
        #[arg(long)]
        partition: Option<u32>,
        /// Where to begin.
        #[command(flatten)]
        from: ReplayFrom,
    },
    /// Copies all collected events into another namespace, processes them there from nothing, and compares the current views of both.
    /// Killed or called again, it goes on where it was. On Kafka it may run while the first namespace is in use; compare again when no
    /// more comes in.
    Rebuild {
        /// The other namespace's prefix, such as `rebuilt.`; its topics hold nothing but what was copied.
        #[arg(long)]
        into: String,
        /// Where the log has lost its beginning: from the warehouse's table `events` instead of the log, without comparison. Stop
        /// senders, and let delivery catch up before. Settings and promotions apply from the beginning, as they stand now.
        #[arg(long)]
        from_warehouse: bool,
    },
    /// Lets a rebuilt namespace take over: brings it up to date, closes this one (collectors refuse, nothing it has said changes any
    /// more), compares the current views of both, and copies what collectors took too late. Where the views differ, this one is opened
    /// again.
    HandOver {
        /// The other namespace's prefix, such as `rebuilt.`.
        #[arg(long, required_unless_present = "back")]
        to: Option<String>,
        /// Without the comparison, which reads every record of both while requests are refused: where `rebuild` or `compare` found them
        /// equal a short while ago.
        #[arg(long, requires = "to")]
        no_compare: bool,
        /// Takes a hand-over back: this namespace is open again.
        #[arg(long, conflicts_with = "to")]
        back: bool,
    },
    /// Compares the current views of this namespace with another one's.
    Compare {
        /// The other namespace's prefix.
        #[arg(long)]
        with: String,
    },
}

/// Where a replay of tasks begins: at the oldest snapshot that is kept, unless told otherwise.
#[derive(Debug, Args)]
pub struct ReplayFrom {
    /// The snapshot of this number, as its manifest's name has it.
    #[arg(long)]
    pub snapshot: Option<u64>,
    /// No snapshot: the log's beginning.
    #[arg(long, conflicts_with = "snapshot")]
    pub beginning: bool,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns.
    Table,
    /// Comma-separated values with a header.
    Csv,
    /// A JSON array with an object a row.
    Json,
}

/// `dlq`.
#[derive(Debug, Args)]
pub struct DeadLettersArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: DeadLettersCommand,
}

/// The commands of `dlq`.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// Counts by reason, and the newest letters.
    List {
        /// Which letters.
        #[command(flatten)]
        which: LetterFilter,
        /// Newest letters that are shown.
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// As one JSON object on standard output.
        #[arg(long)]
        json: bool,
    },
    /// One letter: where it comes from, what is wrong, and its bytes.
    Show {
        /// Its id, as `list` gives it.
        id: String,
        /// Only the bytes, as they are.
        #[arg(long)]
        bytes: bool,
    },
    /// Appends the events of letters to the log again, once what was wrong is mended. An event that was accepted meanwhile is a
    /// duplicate and is dropped.
    Replay {
        /// Which letters; at least one filter must be given.
        #[command(flatten)]
        which: LetterFilter,
        /// Says what would be done, and does nothing.
        #[arg(long)]
        dry_run: bool,
        /// Events of one run at most.
        #[arg(long, default_value_t = 100_000)]
        limit: u64,
    },
}

/// Which letters.
#[derive(Debug, Args)]
pub struct LetterFilter {
    /// Only of this reason, such as `invalid_time`.
    #[arg(long)]
    pub reason: Option<String>,
    /// Only of this stage.
    #[arg(long, value_parser = ["ingest", "profile", "deliver", "import"])]
    pub stage: Option<String>,
    /// Only of this site.
    #[arg(long)]
    pub site: Option<String>,
    /// Only this letter.
    #[arg(long)]
    pub id: Option<String>,
    /// Only of records received within the last so many hours.
    #[arg(long)]
    pub hours: Option<u32>,
}

impl LetterFilter {
    /// Whether it says which letters, besides how old they may be.
    pub fn is_narrow(&self) -> bool {
        [&self.reason, &self.stage, &self.site, &self.id].into_iter().any(Option::is_some)
    }
}

/// `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The whole report as one JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// `query`.
#[derive(Debug, Args)]
pub struct QueryArgs {
    /// The statement, for example "select count(*) from events".
    pub sql: String,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// `as-of`.
#[derive(Debug, Args)]
pub struct AsOfArgs {
    /// The last day whose orders are known, such as 2026-09-30, in the site's time zone.
    pub date: String,
    /// Only this site's customers.
    #[arg(long)]
    pub site: Option<String>,
    /// Days ahead, with commas between: `30,90`.
    #[arg(long, value_delimiter = ',', default_values_t = [30u32, 90, 365])]
    pub horizons: Vec<u32>,
    /// Parameters (JSON); by default the site's own of the configuration, else the built-in ones.
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// Fit the site's own parameters on these customers instead, and print them (JSON).
    #[arg(long, conflicts_with_all = ["model", "horizons"])]
    pub fit: bool,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}
