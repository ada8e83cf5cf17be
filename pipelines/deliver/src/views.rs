//! Views for analysts: one SQL text that both warehouses run.
//!
//! They are built on current rows, so that whatever was revised counts once. Each file in `views/` is one SELECT in the SQL that
//! ClickHouse and DataFusion share.

/// A view.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// Its SELECT.
    pub sql: &'static str,
}

/// All of them; later ones may read earlier ones.
pub const ANALYST_VIEWS: &[View] = &[
    View { name: "sessions_by_channel_and_day", sql: include_str!("../views/sessions_by_channel_and_day.sql") },
    View { name: "orders_net", sql: include_str!("../views/orders_net.sql") },
    View { name: "funnel", sql: include_str!("../views/funnel.sql") },
    View { name: "score_calibration", sql: include_str!("../views/score_calibration.sql") },
    View { name: "attribution_by_model", sql: include_str!("../views/attribution_by_model.sql") },
    View { name: "spend_and_credits", sql: include_str!("../views/spend_and_credits.sql") },
    View { name: "roas", sql: include_str!("../views/roas.sql") },
    View { name: "rejected_by_reason", sql: include_str!("../views/rejected_by_reason.sql") },
    View { name: "clv_cohorts", sql: include_str!("../views/clv_cohorts.sql") },
    View { name: "rfm_grid", sql: include_str!("../views/rfm_grid.sql") },
    View { name: "churn_tiers", sql: include_str!("../views/churn_tiers.sql") },
];
