//! From one collected record to its fate: the steps in their order.

use millstream_operators::site::Sites;
use millstream_runtime::Outputs;
use millstream_schemas::input::{EventType, InputError, InputEvent, Reason, parse_event};
use millstream_schemas::{Collected, Event, Id, purposes};
use millstream_transports::RecordRef;

use crate::classify::bot::Automation;
use crate::classify::device::Device;
use crate::classify::{Agent, Classifier};
use crate::clock::{self, Times};
use crate::consent::{self, Treatment};
use crate::dedup::Dedup;
use crate::emit::Emitter;
use crate::factory::Shared;
use crate::fates::{Fate, Fates};
use crate::identity::{Act, Assignment, Identities, Subject};
use crate::money::Amounts;
use crate::{missing_id, page};

/// What the steps need of the stage.
pub struct Steps<'s> {
    /// Settings.
    pub shared: &'s Shared,
    /// Settings per site.
    pub sites: &'s Sites,
    /// Ids seen.
    pub dedup: &'s mut Dedup,
    /// Who is who.
    pub identities: &'s mut Identities,
    /// Channel, device, bot.
    pub classifier: &'s mut Classifier,
    /// Counts of what is noted on accepted events.
    pub fates: &'s mut Fates,
}

impl Steps<'_> {
    /// Decides what becomes of an event and writes it; an error is to be rejected.
    pub fn run(
        &mut self,
        record: RecordRef<'_>,
        collected: &Collected<'_>,
        out: &mut Outputs,
    ) -> Result<Fate, InputError> {
        let parsed = parse_event(collected.payload);
        match parsed {
            // By reference: an event is large, and each move copies it.
            Ok(ref event) => self.decide(record, collected, event, true, out),
            Err(error) => {
                let Some(completed) = missing_id::complete(&error, record, collected) else { return Err(error) };
                self.decide(record, collected, &parse_event(&completed)?, false, out)
            }
        }
    }

    fn decide(
        &mut self,
        record: RecordRef<'_>,
        collected: &Collected<'_>,
        input: &InputEvent<'_>,
        has_own_id: bool,
        out: &mut Outputs,
    ) -> Result<Fate, InputError> {
        let site = collected.site;
        let config = self.sites.get(site);
        let imported = collected.origin == "import";

        let own_agent = input.user_agent.as_deref();
        let agent = self.classifier.agent(own_agent.or(collected.user_agent));
        if agent.automation == Automation::Declared && !config.keep_declared_bots {
            return Ok(Fate::DeclaredBot);
        }

        let times = Times { received_ms: collected.received_at, sent_ms: collected.sent_at, created_ms: input.time };
        let (event_time, time_quality) = if imported { clock::trust(times) } else { clock::correct(times) };
        if !imported && clock::too_late(collected.received_at, event_time, config.horizon_ms) {
            return Err(too_late(collected.received_at.saturating_sub(event_time), config.horizon_ms));
        }
        let amounts = Amounts::of(input, &config.currency)?;

        if !imported && has_own_id && !self.dedup.insert(Id::of(&[site.as_bytes(), input.id.as_bytes()]).0) {
            return Ok(Fate::Duplicate);
        }

        let subject = subject(input);
        let key = subject.map(|subject| Identities::key(site, subject));
        if let (EventType::Consent, Some(key), Some(said)) = (input.event_type, key, input.consent) {
            self.identities.set_consent(key, said);
        }
        let said_before = match (input.consent, key) {
            (None, Some(key)) => self.identities.consent(key),
            _ => None,
        };
        let default = self.sites.consent_default(site, event_time);
        let allowed = consent::purposes_of(input.consent, said_before, default, collected.global_privacy_control);
        let treatment = consent::treatment(allowed, concern(input.event_type));
        if treatment == Treatment::Drop {
            if let (EventType::Logout, Some(key)) = (input.event_type, key) {
                self.identities.end_login(key);
            }
            return Ok(Fate::ConsentRefused);
        }

        let page = page::read(input.page.as_ref(), input.campaign.as_ref(), self.classifier);
        let properties = input.all_properties();
        let mut event = Event {
            site,
            event_id: &input.id,
            revision: i64::try_from(record.offset).unwrap_or(i64::MAX),
            event_type: input.event_type.as_str(),
            event_time,
            received_at: collected.received_at,
            time_quality: time_quality.symbol(),
            consent: if treatment == Treatment::Full { allowed } else { purposes::NECESSARY },
            is_bot: suspected(agent, own_agent.is_some()),
            origin: if imported { "import" } else { "http" },
            ..Event::default()
        };
        fill(&mut event, input);
        fill_page(&mut event, input, &page);
        event.device_class = agent.device.class;
        event.os = agent.device.os;
        event.browser = agent.device.browser;
        event.properties = properties.as_deref();
        fill_amounts(&mut event, amounts);
        strip(&mut event, treatment);

        let assignment = match (subject, key) {
            (Some(subject), Some(key)) if is_somebodys(input.event_type, treatment) => {
                Some(self.identities.assign(site, key, subject, act(input.event_type)))
            }
            _ => None,
        };
        if assignment.as_ref().is_some_and(|assignment| assignment.refusal.is_some()) {
            self.fates.count(Fate::IdentifyConflict);
        }
        if subject.is_none() && input.event_type != EventType::Spend {
            self.fates.count(Fate::NoIdentity);
        }
        write(&mut Emitter { shared: self.shared, record, out }, &mut event, assignment.as_ref(), input.event_type);
        Ok(Fate::Accepted)
    }
}

/// Writes an event, and what goes along with it.
pub(crate) fn write<'e>(
    emitter: &mut Emitter<'_, '_>,
    event: &mut Event<'e>,
    assignment: Option<&'e Assignment<'_>>,
    event_type: EventType,
) {
    if let Some(assignment) = assignment {
        event.source = Some(assignment.source);
        event.person = Some(assignment.person);
        event.person_user_id = assignment.user.as_deref();
        emitter.source_moved(event, assignment);
        emitter.identity(event, assignment);
    }
    emitter.event(event);
    if let Some(kind) = order_kind(event_type) {
        emitter.order_entry(event, kind);
    }
}

#[cold]
fn too_late(late_ms: i64, horizon_ms: i64) -> InputError {
    let detail = format!("received {late_ms} ms after it happened, the horizon is {horizon_ms} ms; it can be imported");
    InputError { reason: Reason::TooLate, field: "time".into(), detail: detail.into() }
}

fn subject<'a>(input: &'a InputEvent<'_>) -> Option<Subject<'a>> {
    match (input.device.as_deref(), input.user.as_deref()) {
        (Some(device), user) => Some(Subject::Device { device, user }),
        (None, Some(user)) => Some(Subject::User(user)),
        (None, None) => None,
    }
}

fn concern(event_type: EventType) -> consent::Subject {
    match event_type {
        EventType::Purchase | EventType::OfflineOrder | EventType::Refund => consent::Subject::Order,
        EventType::Consent => consent::Subject::Consent,
        EventType::Spend => consent::Subject::Nobody,
        _ => consent::Subject::Behaviour,
    }
}

pub(crate) fn act(event_type: EventType) -> Act {
    match event_type {
        EventType::Identify => Act::Identify,
        EventType::Logout => Act::Logout,
        _ => Act::Other,
    }
}

fn is_somebodys(event_type: EventType, treatment: Treatment) -> bool {
    event_type != EventType::Spend && matches!(treatment, Treatment::Full | Treatment::Proof)
}

fn order_kind(event_type: EventType) -> Option<&'static str> {
    match event_type {
        EventType::Purchase | EventType::OfflineOrder => Some("purchase"),
        EventType::Refund => Some("refund"),
        // Where it names an order; without one there is nowhere to send it.
        EventType::OfflineTouch => Some("touch"),
        _ => None,
    }
}

/// A tool is suspected where the event itself says that it is the device; a request sent by one may be a server's.
fn suspected(agent: Agent, by_event: bool) -> bool {
    match agent.automation {
        Automation::None => false,
        Automation::Declared | Automation::Headless => true,
        Automation::Tool => by_event,
    }
}

/// What is copied as it came.
fn fill<'a>(event: &mut Event<'a>, input: &'a InputEvent<'_>) {
    event.sequence = input.sequence;
    event.device_id = input.device.as_deref();
    event.user_id = input.user.as_deref();
    event.tracker_session_id = input.session.as_deref();
    event.language = input.language.as_deref();
    event.country = input.country.as_deref();
    event.custom_name = input.name.as_deref();
    if let Some(product) = &input.product {
        event.product_id = product.id.as_deref();
        event.product_name = product.name.as_deref();
        event.product_category = product.category.as_deref();
        event.product_brand = product.brand.as_deref();
        event.unit_price = product.price;
        event.quantity = product.quantity;
        event.list_id = product.list_id.as_deref();
    }
    if let Some(search) = &input.search {
        event.search_query = search.query.as_deref();
        event.search_results = search.results;
    }
    event.click_target = input.click.as_ref().and_then(|click| click.target.as_deref());
    if let Some(ping) = &input.ping {
        event.engaged_ms = ping.engaged_ms;
        event.scroll_depth_pct = ping.scroll_depth_pct.and_then(|percent| i32::try_from(percent).ok());
    }
    event.checkout_step = input.checkout.as_ref().and_then(|checkout| i32::try_from(checkout.step?).ok());
    if let Some(experiment) = &input.experiment {
        event.experiment_id = experiment.id.as_deref();
        event.variation_id = experiment.variation.as_deref();
    }
    if let (EventType::Spend, Some(spend)) = (input.event_type, &input.spend) {
        event.spend_channel = spend.channel.as_deref();
        event.spend_campaign = spend.campaign.as_deref();
    }
    if let (EventType::OfflineTouch, Some(touch)) = (input.event_type, &input.touch) {
        event.order_id = touch.order_id.as_deref();
    } else if let Some(order) = &input.order {
        event.order_id = order.id.as_deref();
        event.coupon = order.coupon.as_deref();
    }
    if let (EventType::Refund, Some(refund)) = (input.event_type, &input.refund) {
        event.order_id = refund.order_id.as_deref();
        event.refund_id = Some(refund.id.as_deref().unwrap_or(&input.id));
    }
}

fn fill_page<'a>(event: &mut Event<'a>, input: &'a InputEvent<'_>, page: &'a page::Page<'_>) {
    event.channel = page.channel.map_or("none", |channel| channel.symbol());
    event.page_url = page.url;
    event.click_id_kind = page.click_id.map(|click_id| click_id.symbol());
    let [source, medium, campaign, term, content] = &page.tags;
    event.utm_source = source.as_deref();
    event.utm_medium = medium.as_deref();
    event.utm_campaign = campaign.as_deref();
    event.utm_term = term.as_deref();
    event.utm_content = content.as_deref();
    if let (EventType::OfflineTouch, Some(touch)) = (input.event_type, &input.touch) {
        event.channel = touch.channel.as_deref().unwrap_or("none");
        event.utm_campaign = touch.campaign.as_deref().or(event.utm_campaign);
    }
    if let Some(page) = &input.page {
        event.page_title = page.title.as_deref();
        event.page_referrer = page.referrer.as_deref();
        event.page_view_id = page.view_id.as_deref();
    }
}

fn fill_amounts<'a>(event: &mut Event<'a>, amounts: Amounts<'a>) {
    event.currency = amounts.currency;
    event.amount_minor = amounts.amount_minor;
    event.tax_minor = amounts.tax_minor;
    event.shipping_minor = amounts.shipping_minor;
    event.discount_minor = amounts.discount_minor;
    event.lines = amounts.lines;
}

/// Takes away what may not be kept.
fn strip(event: &mut Event<'_>, treatment: Treatment) {
    if treatment == Treatment::Full {
        return;
    }
    event.page_url = None;
    event.page_title = None;
    event.page_referrer = None;
    event.page_view_id = None;
    event.channel = "none";
    event.utm_source = None;
    event.utm_medium = None;
    event.utm_campaign = None;
    event.utm_term = None;
    event.utm_content = None;
    event.click_id_kind = None;
    event.search_query = None;
    event.click_target = None;
    event.properties = None;
    if treatment == Treatment::Books {
        event.device_id = None;
        event.user_id = None;
        event.tracker_session_id = None;
        event.language = None;
        event.experiment_id = None;
        event.variation_id = None;
        event.device_class = Device::UNKNOWN.class;
        event.os = Device::UNKNOWN.os;
        event.browser = Device::UNKNOWN.browser;
    }
}
