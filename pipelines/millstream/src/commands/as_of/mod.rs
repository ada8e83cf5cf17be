//! `millstream as-of`: what customers were expected to do on any day, from the orders that were known then.
//!
//! The same code and, where the configuration names the site, the same time zone and model as the operators. What scores may not use
//! for want of the purpose *personalization* is not used here either.

mod customers;
mod fit;
mod print;
mod records;

use std::collections::BTreeMap;
use std::io::{Write, stdout};
use std::sync::Arc;

use jiff::civil::Date;
use millstream_deliver::{ClickHouse, QueryFormat};
use millstream_operators::customer::SiteDays;
use millstream_operators::site::SiteConfig;
use millstream_scoring::btyd::BtydModel;

use crate::app::warehouse;
use crate::cli::AsOfArgs;
use crate::config::{Config, WarehouseKind};
use crate::error::Failure;
use customers::Customers;

/// Days ahead at most.
const HORIZON_MAX_DAYS: u32 = 3_653;
/// Horizons at most.
const HORIZONS_MAX: usize = 16;

/// How a site's customers are counted and scored.
#[derive(Debug, Clone)]
struct SiteRules {
    days: SiteDays,
    model: Arc<BtydModel>,
}

/// The rules of every site.
#[derive(Debug)]
struct Sites {
    by_name: BTreeMap<String, SiteRules>,
    default: SiteRules,
}

impl Sites {
    /// By the configuration; `model` takes the place of every site's own.
    fn of(config: &Config, model: Option<BtydModel>) -> Result<Self, Failure> {
        let model = model.map(Arc::new);
        let built_in = Arc::new(BtydModel::built_in());
        let rules = |site: &SiteConfig| SiteRules {
            days: SiteDays::of_zone(&site.timezone).unwrap_or_else(SiteDays::utc),
            model: model.clone().or_else(|| site.btyd.clone()).unwrap_or_else(|| built_in.clone()),
        };
        let mut by_name = BTreeMap::new();
        for site in &config.sites {
            let body = site.settings_body();
            let parsed = SiteConfig::parse(&site.name, &body).map_err(|error| Failure::new(error.to_string()))?;
            by_name.insert(site.name.clone(), rules(&parsed));
        }
        Ok(Self { by_name, default: rules(&SiteConfig::default()) })
    }

    fn get(&self, site: &str) -> &SiteRules {
        self.by_name.get(site).unwrap_or(&self.default)
    }
}

/// Prints, for each customer with an order by the end of the date, expected purchase days and the probability of at least one.
///
/// # Errors
/// Where an argument makes no sense, or in the warehouse's words.
pub fn run(config: &Config, args: &AsOfArgs) -> Result<(), Failure> {
    let date: Date = args.date.parse().map_err(|_| {
        Failure::new(format!("{:?} is no date such as 2026-09-30: the last day whose orders are known", args.date))
    })?;
    let horizons_fit = args.horizons.iter().all(|days| (1..=HORIZON_MAX_DAYS).contains(days));
    if !horizons_fit || args.horizons.len() > HORIZONS_MAX {
        return Err(Failure::new(format!(
            "--horizons takes up to {HORIZONS_MAX} numbers of days from 1 to {HORIZON_MAX_DAYS}, such as 30,90,365"
        )));
    }
    let model = match &args.model {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))?;
            Some(BtydModel::parse(&text).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?)
        }
    };
    let sites = Sites::of(config, model)?;
    let mut customers = Customers::new(date, &sites);
    read(config, &statement(date, args.site.as_deref())?, &mut customers)?;
    let known = customers.finish()?;
    let mut out = std::io::BufWriter::new(stdout().lock());
    if args.fit {
        writeln!(out, "{}", fit::fit(&known, date)?.to_json())?;
        out.flush()?;
        return Ok(());
    }
    print::print(&known, date, &args.horizons, &sites, args.format, &mut out)?;
    out.flush()?;
    Ok(())
}

/// A generous end in UTC: which orders belong to the date, the site's own calendar says.
fn statement(date: Date, site: Option<&str>) -> Result<String, Failure> {
    let end = date.tomorrow().and_then(|next| next.tomorrow());
    let end = end.map_err(|_| Failure::new(format!("{date} is beyond the calendar's end")))?;
    let of_site = site.map_or(String::new(), |site| format!(" and site = '{}'", site.replace('\'', "''")));
    Ok(format!(
        "select site, person, user_id, consent, event_time from orders_current \
         where person is not null and event_time < '{end}T00:00:00Z'{of_site} order by site, person, event_time"
    ))
}

fn read(config: &Config, sql: &str, into: &mut Customers<'_>) -> Result<(), Failure> {
    match config.warehouse {
        WarehouseKind::Embedded => {
            let warehouse = warehouse(config);
            if !warehouse.folder().exists() {
                let hint = "run the demo or an import first, or set MILLSTREAM_DATA_DIR";
                let folder = warehouse.folder().display();
                return Err(Failure::new(format!("there is no warehouse in {folder} yet: {hint}")));
            }
            warehouse.query(sql, QueryFormat::Csv, into)?;
        }
        WarehouseKind::Clickhouse => ClickHouse::new(&config.clickhouse)?.query(sql, QueryFormat::Csv, into)?,
    }
    Ok(())
}
