//! A request's body, split into events that nobody has looked into.

use super::error::{InField, Read, fault};
use super::scan::Scanner;
use super::{InputError, Reason, values};
use std::borrow::Cow;

/// The body of `POST /v1/events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    /// The sender's clock when it sent the batch, in milliseconds since 1970.
    pub sent_at: Option<i64>,
    /// The text of each event, byte for byte: well-formed JSON, but for UTF-8, which is each event's own affair.
    pub events: Vec<&'a [u8]>,
}

/// Splits `{"sent_at": …, "events": […]}` into its events; other keys are ignored. Fails as a whole where it is not JSON, has no
/// event (`empty_batch`) or more than `max_events` (`too_many_events`).
pub fn parse_batch(body: &[u8], max_events: usize) -> Result<Batch<'_>, InputError> {
    read(body, max_events).map_err(|error| *error)
}

fn read(body: &[u8], max_events: usize) -> Read<Batch<'_>> {
    // Structure is found in text of the same length, so that one event's broken UTF-8 does not take the others with it.
    let text = same_length_text(body);
    let mut scanner = Scanner::of_text(&text);
    let mut batch = Batch { sent_at: None, events: Vec::new() };
    scanner.begin_object()?;
    let mut first_key = true;
    while let Some(key) = scanner.next_key(&mut first_key)? {
        match &*key {
            "sent_at" => batch.sent_at = values::time(&mut scanner).in_field("sent_at")?,
            "events" => {
                scanner.begin_array().in_field("events")?;
                batch.events.clear();
                let mut first_item = true;
                while scanner.next_item(&mut first_item)? {
                    if batch.events.len() == max_events {
                        return fault(Reason::TooManyEvents, format!("at most {max_events} events in one request"));
                    }
                    batch.events.push(&body[scanner.skip()?]);
                }
            }
            _ => {
                scanner.skip()?;
            }
        }
    }
    scanner.end()?;
    if batch.events.is_empty() {
        return fault(Reason::EmptyBatch, "expected at least one event in \"events\"");
    }
    Ok(batch)
}

/// The body as text; bytes that are not UTF-8 become question marks, one each.
fn same_length_text(body: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(body) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    Cow::Owned(text)
}
