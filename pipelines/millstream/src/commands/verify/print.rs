//! The report as people read it.

use std::collections::BTreeMap;
use std::io::{Result, Write};

use millstream_verify::{Report, Stand, TopicLine};

/// Differences that are printed; `--json` has more.
const SHOWN: usize = 50;

/// Writes it.
pub fn report(report: &Report, out: &mut dyn Write) -> Result<()> {
    let rows = report.tasks.iter().map(|task| {
        let fates: Vec<String> = task.fates.iter().map(|(name, records)| format!("{records} {name}")).collect();
        vec![
            task.stage.clone(),
            format!("{}[{}]", task.topic, task.partition),
            task.transactions.to_string(),
            task.records.to_string(),
            fates.join(", "),
            words(&task.stand),
        ]
    });
    table(out, &["stage", "input", "transactions", "records", "fates", ""], rows.collect())?;
    writeln!(out)?;
    table(out, &["topic", "in ledgers", "found", "of others", ""], topics(&report.topics))?;
    writeln!(out)?;
    let rows = report.tables.iter().map(|line| {
        vec![
            line.table.clone(),
            line.topic.clone(),
            line.rows.to_string(),
            line.without_row.to_string(),
            line.lag.to_string(),
            words(&line.stand),
        ]
    });
    table(out, &["table", "topic", "rows", "without row", "lag", ""], rows.collect())?;
    if report.is_equal() {
        return Ok(());
    }
    writeln!(out, "\n{} differences:", report.differences_in_all)?;
    for difference in report.differences.iter().take(SHOWN) {
        writeln!(out, "  {difference}")?;
    }
    let more = report.differences_in_all.saturating_sub(SHOWN as u64);
    if more > 0 {
        writeln!(out, "  and {more} more; --json has the first thousand")?;
    }
    Ok(())
}

/// One row a topic where all its partitions compare alike, else one a partition.
fn topics(lines: &[TopicLine]) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut by_topic: BTreeMap<&str, Vec<&TopicLine>> = BTreeMap::new();
    for line in lines {
        by_topic.entry(&line.topic).or_default().push(line);
    }
    for (topic, lines) in by_topic {
        let alike = lines.windows(2).all(|pair| pair.first().map(|l| &l.stand) == pair.last().map(|l| &l.stand));
        let groups: Vec<(String, &[&TopicLine])> = if alike {
            vec![(topic.to_owned(), lines.as_slice())]
        } else {
            lines.iter().map(|line| (format!("{topic}[{}]", line.partition), std::slice::from_ref(line))).collect()
        };
        for (name, group) in groups {
            let sum = |count: fn(&TopicLine) -> u64| group.iter().map(|line| count(line)).sum::<u64>().to_string();
            let stand = group.first().map_or_else(String::new, |line| words(&line.stand));
            rows.push(vec![name, sum(|line| line.noted), sum(|line| line.found), sum(|line| line.others), stand]);
        }
    }
    rows
}

fn words(stand: &Stand) -> String {
    match stand {
        Stand::Equal => "equal".to_owned(),
        Stand::EqualInPart(why) => format!("equal in part: {why}"),
        Stand::NotCompared(why) => format!("not compared: {why}"),
        Stand::Different => "DIFFERENT".to_owned(),
    }
}

/// Aligned columns: numbers to the right.
fn table(out: &mut dyn Write, names: &[&str], rows: Vec<Vec<String>>) -> Result<()> {
    let mut all = vec![names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()];
    all.extend(rows);
    let width = |column: usize| all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..names.len()).map(|column| width(column).unwrap_or(0)).collect();
    for row in &all {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let is_number = !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit());
            let cell = if is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
            line.push_str(&cell);
            line.push_str("  ");
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
