//! The answer.

use std::io::{self, Write};

use jiff::civil::Date;
use millstream_scoring::btyd::DAYS_PER_WEEK;
use serde_json::{Map, Value, json};

use super::Sites;
use super::customers::{Known, day_number};
use crate::cli::Format;

/// Expected purchase days and the probability of at least one, for each horizon.
type Ahead = Vec<(f64, f64)>;

/// Prints a line for each customer and one for all.
pub(super) fn print(
    known: &[Known],
    date: Date,
    horizons: &[u32],
    sites: &Sites,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    let scored: Vec<Ahead> = known.iter().map(|customer| ahead(customer, date, horizons, sites)).collect();
    let mut total: Ahead = vec![(0.0, 0.0); horizons.len()];
    for customer in &scored {
        for (sum, (expected, p)) in total.iter_mut().zip(customer) {
            *sum = (sum.0 + expected, sum.1 + p);
        }
    }
    let repeat_days: u64 = known.iter().map(|customer| u64::from(customer.days.days - 1)).sum();
    match format {
        Format::Json => json(known, &scored, &total, repeat_days, date, horizons, sites, out),
        Format::Csv => csv(known, &scored, &total, repeat_days, horizons, out),
        Format::Table => table(known, &scored, &total, repeat_days, horizons, out),
    }
}

fn ahead(customer: &Known, date: Date, horizons: &[u32], sites: &Sites) -> Ahead {
    let history = customer.days.history(day_number(date));
    let model = sites.get(&customer.site).model.purchases();
    let weeks = horizons.iter().map(|days| f64::from(*days) / DAYS_PER_WEEK);
    weeks.map(|weeks| (model.expected(&history, weeks), model.p_active(&history, weeks))).collect()
}

/// A day as a date.
fn date_of(day: i32) -> String {
    let seconds = i64::from(day) * 86_400;
    jiff::Timestamp::from_second(seconds).map_or_else(|_| day.to_string(), |time| time.to_string()[..10].to_owned())
}

#[expect(clippy::too_many_arguments, reason = "one answer's parts, from one place")]
fn json(
    known: &[Known],
    scored: &[Ahead],
    total: &Ahead,
    repeat_days: u64,
    date: Date,
    horizons: &[u32],
    sites: &Sites,
    out: &mut dyn Write,
) -> io::Result<()> {
    let numbers = |ahead: &Ahead| -> Map<String, Value> {
        let pairs = horizons.iter().zip(ahead);
        pairs
            .flat_map(|(days, (expected, p))| {
                [(format!("expected_orders_{days}d"), json!(expected)), (format!("p_active_{days}d"), json!(p))]
            })
            .collect()
    };
    write!(out, "{{\"as_of\":\"{date}\",\"customers\":[")?;
    for (at, (customer, ahead)) in known.iter().zip(scored).enumerate() {
        let mut row = json!({
            "site": customer.site,
            "person": customer.person,
            "user_id": if customer.user_id.is_empty() { Value::Null } else { json!(customer.user_id) },
            "purchase_days": customer.days.days,
            "first_order_day": date_of(customer.days.first_day),
            "last_order_day": date_of(customer.days.last_day),
            "model_version": sites.get(&customer.site).model.version(),
        });
        if let Some(row) = row.as_object_mut() {
            row.extend(numbers(ahead));
        }
        write!(out, "{}\n{row}", if at == 0 { "" } else { "," })?;
    }
    let mut all = json!({"customers": known.len(), "repeat_days": repeat_days});
    if let Some(all) = all.as_object_mut() {
        all.extend(numbers(total));
    }
    writeln!(out, "\n],\"total\":{all}}}")
}

fn csv(
    known: &[Known],
    scored: &[Ahead],
    total: &Ahead,
    repeat_days: u64,
    horizons: &[u32],
    out: &mut dyn Write,
) -> io::Result<()> {
    let names: Vec<String> = horizons.iter().map(|days| format!(",expected_orders_{days}d,p_active_{days}d")).collect();
    writeln!(out, "site,person,user_id,purchase_days,first_order_day,last_order_day{}", names.concat())?;
    let numbers =
        |ahead: &Ahead| ahead.iter().map(|(expected, p)| format!(",{expected},{p}")).collect::<Vec<_>>().concat();
    for (customer, ahead) in known.iter().zip(scored) {
        let days = &customer.days;
        let (site, user_id) = (quoted(&customer.site), quoted(&customer.user_id));
        let (first, last) = (date_of(days.first_day), date_of(days.last_day));
        writeln!(out, "{site},{},{user_id},{},{first},{last}{}", customer.person, days.days, numbers(ahead))?;
    }
    let purchase_days = repeat_days + known.len() as u64;
    writeln!(out, "total,{},,{purchase_days},,{}", known.len(), numbers(total))
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

fn table(
    known: &[Known],
    scored: &[Ahead],
    total: &Ahead,
    repeat_days: u64,
    horizons: &[u32],
    out: &mut dyn Write,
) -> io::Result<()> {
    write!(out, "{:<12} {:<32} {:<20} {:>6} {:>10}", "site", "person", "user", "days", "last")?;
    for days in horizons {
        write!(out, " {:>14} {:>12}", format!("expected {days}d"), format!("p >= 1 {days}d"))?;
    }
    writeln!(out)?;
    for (customer, ahead) in known.iter().zip(scored) {
        let last = date_of(customer.days.last_day);
        let Known { site, person, user_id, days } = customer;
        write!(out, "{site:<12} {person:<32} {user_id:<20} {:>6} {last:>10}", days.days)?;
        write_numbers(ahead, out)?;
    }
    let customers = format!("{} customers", known.len());
    let purchase_days = repeat_days + known.len() as u64;
    write!(out, "{:<12} {customers:<32} {:<20} {purchase_days:>6} {:>10}", "total", "", "")?;
    write_numbers(total, out)
}

fn write_numbers(ahead: &Ahead, out: &mut dyn Write) -> io::Result<()> {
    for (expected, p) in ahead {
        write!(out, " {expected:>14.4} {p:>12.4}")?;
    }
    writeln!(out)
}
