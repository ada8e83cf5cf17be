//! Writes everything that follows from the record definitions and the input catalogue, or checks that it is there.
//!
//! `cargo run -p millstream-schemas --bin schemas` writes; with `-- --check` nothing is written and a difference ends with exit
//! code 1.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod avro;
mod clickhouse;
mod definition;
mod output;
mod reference;
mod rust;

use definition::Definition;
use output::Output;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let check = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => {
            eprintln!("usage: schemas [--check]");
            return ExitCode::from(2);
        }
    };
    match generate(Path::new(env!("CARGO_MANIFEST_DIR"))).and_then(|output| output.settle(check)) {
        Ok(drifted) if check && !drifted.is_empty() => {
            for drift in &drifted {
                eprintln!("{drift}");
            }
            eprintln!("{} generated files drifted; run: cargo run -p millstream-schemas --bin schemas", drifted.len());
            ExitCode::FAILURE
        }
        Ok(drifted) => {
            for written in &drifted {
                println!("{written}");
            }
            println!("{}", if drifted.is_empty() { "up to date" } else { "written" });
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn generate(schemas: &Path) -> Result<Output, String> {
    let definitions = definition::load(&schemas.join("records"))?;
    let mut output = Output::default();

    let rust_folder = schemas.join("src/generated");
    let avro_folder = schemas.join("avro");
    let clickhouse_folder = schemas.join("clickhouse");
    for definition in &definitions {
        output.add(rust_folder.join(format!("{}.rs", definition.name)), rust::record(definition, &definitions));
        output.add(avro_folder.join(format!("{}.avsc", definition.name)), avro::schema(definition, &definitions));
        for object in clickhouse::objects(definition, &definitions) {
            output.add(clickhouse_folder.join(format!("{}.sql", object.name)), object.statement);
        }
    }
    output.add(rust_folder.join("mod.rs"), rust::module(&definitions));
    output.owns(rust_folder, "rs");
    output.owns(avro_folder, "avsc");
    output.owns(clickhouse_folder, "sql");

    let reference_folder = schemas.join("../docs/reference");
    output.add(reference_folder.join("records.md"), reference::records(&definitions));
    Ok(output)
}

/// `name` in Pascal case.
fn type_name(definition: &Definition) -> String {
    let words = definition.name.split('_');
    words.map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}
