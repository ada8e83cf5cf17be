//! Rows in files, for a program in another language: columns of plain little-endian numbers, and a description.

use std::fs;
use std::io;
use std::path::Path;

use millstream_scoring::{FEATURE_COUNT, Features};
use serde::{Deserialize, Serialize};

/// What a row is for. Persons of training rows have no calibration rows, and these lie later; evaluation rows are of other seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Part {
    /// The forest is trained on it.
    Train = 0,
    /// Calibrations are fitted on it.
    Calibrate = 1,
    /// The better calibration is chosen on it.
    Select = 2,
    /// The result is judged on it.
    Evaluate = 3,
}

/// A row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// What the scorer sees.
    pub features: Features,
    /// Whether the session bought (again).
    pub session: bool,
    /// Whether the person bought within seven days; `None` where unknown.
    pub within_7_days: Option<bool>,
    /// What it is for.
    pub part: Part,
}

/// What the rows are; `rows.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Names of the features.
    pub features: Vec<String>,
    /// Number of rows.
    pub rows: usize,
    /// What they are, in words.
    pub traffic: String,
    /// Seeds of the rows for training and calibration.
    pub seeds: Vec<u64>,
    /// Seeds of the rows for evaluation.
    pub evaluation_seeds: Vec<u64>,
    /// People simulated for each seed.
    pub people: u32,
    /// Days simulated for each seed.
    pub days: u32,
}

/// Writes `features.f32` (row by row), `session.i8` and `within_7_days.i8` (1, 0, −1 unknown), `part.u8` and `rows.json`.
///
/// # Errors
/// Where the folder cannot be written.
pub fn write(folder: &Path, description: &Description, rows: &[Row]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let features: Vec<u8> = rows.iter().flat_map(|row| row.features.0).flat_map(f32::to_le_bytes).collect();
    fs::write(folder.join("features.f32"), features)?;
    let label = |value: Option<bool>| value.map_or(u8::MAX, u8::from);
    fs::write(folder.join("session.i8"), rows.iter().map(|row| label(Some(row.session))).collect::<Vec<_>>())?;
    fs::write(folder.join("within_7_days.i8"), rows.iter().map(|row| label(row.within_7_days)).collect::<Vec<_>>())?;
    fs::write(folder.join("part.u8"), rows.iter().map(|row| row.part as u8).collect::<Vec<_>>())?;
    fs::write(folder.join("rows.json"), serde_json::to_vec_pretty(description)?)
}

/// Reads what [`write()`] wrote.
///
/// # Errors
/// Where a file is missing or they do not fit together.
pub fn read(folder: &Path) -> io::Result<(Description, Vec<Row>)> {
    let wrong = |detail: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {detail}", folder.display()));
    let description: Description = serde_json::from_slice(&fs::read(folder.join("rows.json"))?)?;
    let features = fs::read(folder.join("features.f32"))?;
    let columns = [fs::read(folder.join("session.i8"))?, fs::read(folder.join("within_7_days.i8"))?];
    let parts = fs::read(folder.join("part.u8"))?;
    let lens = [features.len() / (4 * FEATURE_COUNT), columns[0].len(), columns[1].len(), parts.len()];
    if lens.iter().any(|&len| len != description.rows) {
        return Err(wrong(format!(
            "rows.json says {} rows, the files have {lens:?}; write them anew",
            description.rows
        )));
    }
    let numbers: Vec<f32> = features.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let label = |byte: u8| match byte {
        0 => Ok(Some(false)),
        1 => Ok(Some(true)),
        u8::MAX => Ok(None),
        other => Err(wrong(format!("label {other}"))),
    };
    let part = |byte: u8| match byte {
        0 => Ok(Part::Train),
        1 => Ok(Part::Calibrate),
        2 => Ok(Part::Select),
        3 => Ok(Part::Evaluate),
        other => Err(wrong(format!("part {other}"))),
    };
    let labels = columns[0].iter().zip(&columns[1]).zip(&parts);
    let rows = numbers.as_chunks::<FEATURE_COUNT>().0.iter().zip(labels).map(|(features, ((session, week), of))| {
        Ok(Row {
            features: Features(*features),
            session: label(*session)? == Some(true),
            within_7_days: label(*week)?,
            part: part(*of)?,
        })
    });
    Ok((description, rows.collect::<io::Result<_>>()?))
}
