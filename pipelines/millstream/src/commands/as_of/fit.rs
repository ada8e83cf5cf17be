//! A shop's own parameters, from the purchase days that were known on a date.

use jiff::civil::Date;
use millstream_scoring::btyd::{BtydModel, fit};

use super::customers::{Known, day_number};
use crate::error::Failure;

/// Fewer repeat customers say nothing about a shop.
const REPEAT_CUSTOMERS_MIN: usize = 100;

/// BG/NBD by maximum likelihood, as a document for the site's setting `btyd`. It needs one site's customers, all of them: those who
/// bought once too.
///
/// # Errors
/// Where they are several sites', too few come back, or no parameters in range describe them.
pub(super) fn fit(known: &[Known], date: Date) -> Result<BtydModel, Failure> {
    let site = known.first().map_or("", |customer| customer.site.as_str());
    if known.iter().any(|customer| customer.site != site) {
        return Err(Failure::new("parameters are one shop's own: name it with --site"));
    }
    let repeat_customers = known.iter().filter(|customer| customer.days.days > 1).count();
    if repeat_customers < REPEAT_CUSTOMERS_MIN {
        return Err(Failure::new(format!(
            "{repeat_customers} customers bought on more than one day by {date}; {REPEAT_CUSTOMERS_MIN} are needed to fit on"
        )));
    }
    let histories: Vec<_> = known.iter().map(|customer| customer.days.history(day_number(date))).collect();
    let Some(fitted) = fit::bg_nbd(&histories) else {
        return Err(Failure::new("nobody came back: there is nothing to fit on"));
    };
    let on = format!(
        "{} customers of {site}, {repeat_customers} of them repeat, orders until {date}; log-likelihood {:.4}",
        known.len(),
        fitted.log_likelihood
    );
    BtydModel::new(site, &date.to_string(), &on, fitted.parameters, None)
        .map_err(|error| Failure::new(format!("the fit found no usable parameters: {error}")))
}
