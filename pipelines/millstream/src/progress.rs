//! Progress on long work: a bar where somebody looks, a line now and then where not.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two lines where nobody looks at a bar.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Progress of one piece of work.
pub struct Progress {
    bar: ProgressBar,
    what: String,
    last_line: Instant,
}

impl Progress {
    /// Begins; `total` of 0 means that nobody knows it yet.
    pub fn new(what: &str, total: u64) -> Self {
        Self::with(what, total, "{prefix:>12} [{bar:40}] {pos}/{len} {msg} ({eta})")
    }

    /// Begins a work of which only the share that is done means something.
    pub fn of_share(what: &str) -> Self {
        Self::with(what, 1_000, "{prefix:>12} [{bar:40}] {percent} % {msg} ({eta})")
    }

    fn with(what: &str, total: u64, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(template);
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(what.to_owned());
        if bar.is_hidden() {
            tell(&format!("{what} …"));
        }
        Self { bar, what: what.to_owned(), last_line: Instant::now() }
    }

    /// How far it is.
    pub fn at(&mut self, done: u64, total: u64, message: &str) {
        self.show(done, total, message, || format!("{done}/{total}"));
    }

    /// How far it is, in thousandths of what [`Self::of_share`] began.
    pub fn at_permille(&mut self, done: u64, message: &str) {
        self.show(done, 1_000, message, || format!("{} %", done / 10));
    }

    fn show(&mut self, done: u64, total: u64, message: &str, so_far: impl Fn() -> String) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.bar.set_message(message.to_owned());
        if self.bar.is_hidden() && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            tell(&format!("{} {} {message}", self.what, so_far()));
        }
    }

    /// It is done.
    pub fn done(self, message: &str) {
        self.bar.finish_and_clear();
        tell(&format!("{}: {message}", self.what));
    }
}

/// A line for the person at the terminal; standard output stays for results.
#[allow(clippy::print_stderr, reason = "this is the one place that talks to the person at the terminal")]
pub fn tell(line: &str) {
    eprintln!("{line}");
}
