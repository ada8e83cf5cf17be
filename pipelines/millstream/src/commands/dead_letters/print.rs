//! Dead letters as people read them.

use std::collections::BTreeMap;
use std::io::{Result, Write};

use millstream_dead_letters::{Letter, Listing, Refusal};
use millstream_schemas::input::format_time;

/// Bytes that are shown in hexadecimal.
const HEX_BYTES: usize = 4_096;

/// Counts, then the newest.
pub fn listing(listing: &Listing, out: &mut dyn Write) -> Result<()> {
    if listing.counts.is_empty() {
        writeln!(out, "no dead letters")?;
    }
    for count in &listing.counts {
        let topic = if count.topic.is_empty() { "files" } else { &count.topic };
        writeln!(
            out,
            "{:>9}  {:<8} {:<20} from {topic}, {} to {}",
            count.letters,
            count.stage,
            count.reason,
            format_time(count.first_ms),
            format_time(count.last_ms)
        )?;
    }
    if !listing.newest.is_empty() {
        writeln!(out, "\nthe newest {}:", listing.newest.len())?;
    }
    for letter in &listing.newest {
        let field = letter.field.as_ref().map_or_else(String::new, |field| format!(" ({field})"));
        writeln!(
            out,
            "{}  {}  {} {}{field}: {}",
            format_time(letter.at_ms),
            letter.id,
            letter.stage,
            letter.reason,
            letter.detail
        )?;
    }
    if listing.unreadable > 0 {
        writeln!(out, "\n{} records of the topic are no dead letters: another version wrote them", listing.unreadable)?;
    }
    Ok(())
}

/// One letter with its bytes: as text where they are, else in hexadecimal.
pub fn letter(letter: &Letter, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "id        {}", letter.id)?;
    writeln!(out, "received  {}", format_time(letter.at_ms))?;
    writeln!(out, "site      {}", letter.site)?;
    writeln!(out, "stage     {}", letter.stage)?;
    writeln!(out, "reason    {}", letter.reason)?;
    if let Some(field) = &letter.field {
        writeln!(out, "field     {field}")?;
    }
    writeln!(out, "detail    {}", letter.detail)?;
    if let Some(origin) = &letter.origin {
        writeln!(out, "record    {}[{}] offset {}", origin.topic, origin.partition, origin.offset)?;
    }
    if let Some(row) = &letter.row {
        writeln!(out, "row       {}, {}, line {}", row.data_set, row.file, row.line)?;
    }
    if let Some(event_id) = &letter.event_id {
        writeln!(out, "event     {event_id}")?;
    }
    writeln!(out, "bytes     {}", letter.payload_bytes)?;
    let is_plain = |text: &&str| !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    if let Some(text) = std::str::from_utf8(&letter.payload).ok().filter(is_plain) {
        return writeln!(out, "\n{text}");
    }
    writeln!(out)?;
    for line in letter.payload.get(..HEX_BYTES).unwrap_or(&letter.payload).chunks(32) {
        let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(out, "{}", digits.join(" "))?;
    }
    if letter.payload.len() > HEX_BYTES {
        writeln!(out, "and so on; `--bytes` writes all")?;
    }
    Ok(())
}

/// What is not replayed, and what to do about it.
pub fn refused(refused: &BTreeMap<Refusal, u64>, out: &mut dyn Write) -> Result<()> {
    for (why, letters) in refused {
        writeln!(out, "{letters:>9}  not replayed, {}", why.advice())?;
    }
    Ok(())
}
