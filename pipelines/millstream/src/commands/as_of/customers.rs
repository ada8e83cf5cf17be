//! Orders of the warehouse, added up by customer.

use std::io::{self, Write};

use jiff::Timestamp;
use jiff::civil::Date;
use millstream_operators::customer::PurchaseDays;
use millstream_schemas::purposes;

use super::Sites;
use super::records::Records;
use crate::error::Failure;

/// A customer with an order by the date.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) site: String,
    pub(super) person: String,
    pub(super) user_id: String,
    pub(super) days: PurchaseDays,
}

/// Takes the answer of the statement in, as CSV, ordered by site, person and time.
#[derive(Debug)]
pub(super) struct Customers<'a> {
    records: Records,
    has_header: bool,
    last_day: i32,
    sites: &'a Sites,
    known: Vec<Known>,
}

/// The day as operators count it, from 1970-01-01.
pub(super) fn day_number(date: Date) -> i32 {
    // Four-digit years: the difference fits.
    date.duration_since(Date::constant(1970, 1, 1)).as_hours().div_euclid(24).try_into().unwrap_or(i32::MAX)
}

impl<'a> Customers<'a> {
    /// None so far; orders after `date` do not count.
    pub(super) fn new(date: Date, sites: &'a Sites) -> Self {
        Self { records: Records::default(), has_header: false, last_day: day_number(date), sites, known: Vec::new() }
    }

    /// All of them, sorted by site and person.
    pub(super) fn finish(mut self) -> Result<Vec<Known>, Failure> {
        if !self.records.is_complete() {
            return Err(Failure::new("the warehouse's answer ends within a row; ask again"));
        }
        // Warehouses order ids each in their own way.
        self.known.sort_by(|one, other| (&one.site, &one.person).cmp(&(&other.site, &other.person)));
        Ok(self.known)
    }
}

impl Write for Customers<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { records, has_header, last_day, sites, known } = self;
        records.feed(bytes, |row| {
            if !std::mem::replace(has_header, true) {
                return Ok(());
            }
            take(row, *last_day, sites, known)
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn take(row: Vec<String>, last_day: i32, sites: &Sites, known: &mut Vec<Known>) -> io::Result<()> {
    let Ok([site, person, user_id, consent, event_time]) = <[String; 5]>::try_from(row) else {
        return Err(io::Error::other("a row of the answer has not the columns that were asked for"));
    };
    let bad = |what: &str, is: &str| io::Error::other(format!("orders_current: {what} of {person} is {is:?}"));
    let consent: i32 = consent.parse().map_err(|_| bad("consent", &consent))?;
    let time: Timestamp = event_time.parse().map_err(|_| bad("event_time", &event_time))?;
    let day = sites.get(&site).days.day_of(time.as_millisecond());
    if consent & purposes::PERSONALIZATION == 0 || day > last_day {
        return Ok(());
    }
    match known.last_mut().filter(|last| last.site == site && last.person == person) {
        Some(last) => {
            last.days = PurchaseDays::with(Some(last.days), day);
            if !user_id.is_empty() {
                last.user_id = user_id;
            }
        }
        None => known.push(Known { site, person, user_id, days: PurchaseDays::with(None, day) }),
    }
    Ok(())
}
