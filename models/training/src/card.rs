//! The model's card: what it is, how good, and what it is not.

use millstream_scoring::artefact::{HeadDocument, Metrics};

use crate::pack::Packed;

/// The card as Markdown. `content` is the hash of the artefact's bytes, `bytes` their number.
pub fn markdown(packed: &Packed, content: &str, bytes: usize) -> String {
    let (artefact, training) = (&packed.artefact, &packed.artefact.training);
    let seeds = |seeds: &[u64]| seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let mut card = format!(
        "# {} {}\n\nMade by `scripts/train`; do not edit.\n\n\
         Two gradient-boosted forests ({}), scored by `models/scoring` and calibrated on rows apart. Content hash `{content}`, \
         {bytes} bytes, features `{}`.\n\n\
         **It was trained on a simulated shop.** It shows that the machinery works, end to end and measured; how well it predicts in \
         your shop it cannot say. Train it anew on your own traffic before you act on it.\n\n\
         ## Trained on\n\n\
         - {}\n- seeds {} ({} people, {} days each); evaluated on seeds {}. These seeds are reserved: the demo refuses them.\n\
         - {} rows to train (four of five persons, the first 60 % of the time), {} to calibrate (the other persons, the rest of the \
         time; half to fit, half to choose between isotonic and Platt), {} to evaluate.\n\
         - For 30 % of the sources the history was hidden, so that the model knows what to do without it.\n\
         - Rows of one session are not independent; the metrics count each decision once, so that long sessions weigh more.\n",
        artefact.name,
        artefact.version,
        training.library,
        artefact.feature_schema_hash,
        training.traffic,
        seeds(&training.seeds),
        training.people,
        training.days,
        seeds(&training.evaluation_seeds),
        training.rows,
        training.calibration_rows,
        training.evaluation_rows,
    );
    card.push_str("\n## Results on the evaluation seeds\n");
    for (name, head) in artefact.heads() {
        card.push_str(&results(name, head));
    }
    card.push_str("\n### The session head by the events seen\n\n| events | rows | base rate | AUC | heuristic's AUC | log-loss | heuristic's |\n|---|---|---|---|---|---|---|\n");
    for row in &packed.by_events {
        card.push_str(&format!(
            "| {} | {} | {:.4} | {:.3} | {:.3} | {:.4} | {:.4} |\n",
            row.events,
            row.model.rows,
            row.model.base_rate,
            row.model.auc,
            row.heuristic.auc,
            row.model.log_loss,
            row.heuristic.log_loss
        ));
    }
    card.push_str(
        "\n## Limits\n\n\
         - A simulator's visitors are simpler than people: relations are as its authors imagined them. Calibration does not carry \
         over to another shop, nor do levels; the ranking may.\n\
         - *History* is that of the source (a device between logins, or a known user), not of the person on all devices, and begins \
         when the shop begins to send events.\n\
         - Products are counted by a sketch of 64 bits: beyond ten distinct ones the count is a little low.\n\
         - Reasons are path contributions (Saabas): cheap and faithful to the trees, but no Shapley values; a feature that shares \
         its information with another one may be named in its stead. They explain the session head.\n\
         - No feature describes the visitor beyond device class, channel and behaviour; events without the purpose *personalization* \
         have no influence.\n\
         - It says what will happen, not what an offer would change: do not target by it without a control group.\n",
    );
    card
}

fn results(name: &str, head: &HeadDocument) -> String {
    let error = |value: Option<f64>| value.map_or("not fitted".to_owned(), |value| format!("{value:.4}"));
    let [isotonic, platt] = head.calibration_ece;
    let mut text = format!(
        "\n### {name}: {}\n\n{} trees. Calibration: {} (ECE on the rows that chose: isotonic {}, Platt {}).\n\n\
         | | rows | base rate | AUC | AP | log-loss | Brier | ECE |\n|---|---|---|---|---|---|---|---|\n",
        head.target,
        head.forest.trees.len(),
        head.calibration.kind(),
        error(isotonic),
        error(platt)
    );
    let base = &head.metrics;
    text.push_str(&line("model", base));
    if let Some(without) = &head.metrics_without_history {
        text.push_str(&line("model, history unknown", without));
    }
    if let Some(heuristic) = &head.heuristic {
        text.push_str(&line("heuristic", heuristic));
    }
    let brier = base.base_rate * (1.0 - base.base_rate);
    text.push_str(&format!(
        "| always the base rate | {} | {:.4} | .500 | {:.3} | {:.4} | {brier:.4} | 0 |\n",
        base.rows, base.base_rate, base.base_rate, base.base_log_loss
    ));
    text
}

fn line(name: &str, of: &Metrics) -> String {
    format!(
        "| {name} | {} | {:.4} | {:.3} | {:.3} | {:.4} | {:.4} | {:.4} |\n",
        of.rows, of.base_rate, of.auc, of.average_precision, of.log_loss, of.brier, of.ece
    )
}
