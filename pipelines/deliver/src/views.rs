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
    View { name: "rejected_by_reason", sql: include_str!("../views/rejected_by_reason.sql") },
];
