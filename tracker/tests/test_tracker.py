"""The tracker in a real browser, against a real collector and all that comes behind it."""

from __future__ import annotations

import json
import time
import unittest
from typing import Any

from support import TRACKER, BrowserTest, Millstream, Shop, tracked, until

# Pings come when a page was read for long enough, which here depends on the machine.
NO_PINGS = "event_type <> 'page_ping'"
ANALYTICS, PERSONALIZATION, ADVERTISING = 2, 4, 8


class Served(BrowserTest):
    """The tracker as the collector serves it."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.millstream = Millstream("run")
        cls.addClassCleanup(cls.millstream.remove)
        cls.shop = Shop(cls.millstream.url)
        cls.addClassCleanup(cls.shop.stop)

    def profile(self, **options: Any) -> Any:
        context = super().profile(**options)
        context.on("page", lambda page: self.pages.append(page))
        context.on("request", lambda request: self.requests.append(request) if "/v1/events" in request.url else None)
        return context

    def setUp(self) -> None:
        self.requests: list[Any] = []
        self.pages: list[Any] = []

    def open(self, context: Any, path: str = "/", attributes: str = "") -> Any:
        """A page of the shop with the tracker running; `attributes` are those of the script tag."""
        page = context.new_page()
        self.go(page, path, attributes)
        return page

    def go(self, page: Any, path: str, attributes: str = "") -> None:
        page.goto(self.shop.url + path + ("?" + attributes if attributes else ""))
        tracked(page)

    def next(self, page: Any) -> None:
        """Follows the page's link to another page."""
        with page.expect_navigation(url="**/next*"):
            page.click("#next")
        tracked(page)

    def call(self, page: Any, name: str, *arguments: Any) -> Any:
        return page.evaluate("([name, args]) => millstream[name](...args)", [name, list(arguments)])

    def device(self, page: Any) -> str:
        return until("a device id", lambda: page.evaluate("millstream.ids().device"))

    def rows(self, device: str, where: str = NO_PINGS) -> list[dict[str, Any]]:
        for page in self.pages:
            if not page.is_closed():
                page.wait_for_timeout(1)  # lets the requests be seen that were made meanwhile
        return self.millstream.query(
            f"select * from events where device_id = '{device}' and {where} order by event_time, sequence"
        )

    def arrived(self, device: str, count: int, where: str = NO_PINGS) -> list[dict[str, Any]]:
        """Waits until so many events of a device are in the warehouse; more are a failure."""
        rows = until(f"{count} events where {where}", lambda: len(r := self.rows(device, where)) >= count and r)
        self.assertEqual(len(rows), count, [row["event_type"] for row in rows])
        return rows

    # ------------------------------------------------------------ views, clicks, pings
    def test_a_page_view_arrives(self) -> None:
        page = self.open(self.profile(locale="de-AT"), "/first")
        self.next(page)
        first, second = self.arrived(self.device(page), 2)
        self.assertEqual([first["event_type"], second["event_type"]], ["page_view"] * 2)
        self.assertEqual(first["page_url"], f"{self.shop.url}/first")
        self.assertEqual(first["page_title"], "Page /first")
        self.assertIsNone(first["page_referrer"])
        self.assertEqual(second["page_referrer"], f"{self.shop.url}/first")
        self.assertEqual(first["language"], "de-AT")
        self.assertEqual(first["browser"], "chrome")
        self.assertNotEqual(first["page_view_id"], second["page_view_id"])
        self.assertEqual((first["sequence"], second["sequence"]), (1, 2))
        self.assertFalse(first["is_bot"])

    def test_a_single_page_application_has_views_too(self) -> None:
        page = self.open(self.profile(), "/app")
        page.evaluate("""() => {
            history.replaceState({scrolled: 7}, "");
            location.hash = "part";
            document.title = "Product";
            history.pushState(null, "", "/app/product");
            millstream.track("product_view", {product: {id: "p-1"}});
        }""")
        page.go_back()
        home, view, product, back = self.arrived(self.device(page), 4)
        kinds = [row["event_type"] for row in (home, view, product, back)]
        self.assertEqual(kinds, ["page_view", "page_view", "product_view", "page_view"])
        self.assertEqual((view["page_title"], view["page_referrer"]), ("Product", f"{self.shop.url}/app"))
        self.assertEqual(product["page_view_id"], view["page_view_id"])
        self.assertEqual(back["page_url"], f"{self.shop.url}/app")

    def test_views_can_be_told_by_hand(self) -> None:
        page = self.open(self.profile(), "/quiet", "data-auto=false")
        page.evaluate("history.pushState(null, '', '/quiet/2')")
        self.call(page, "page", {"page": {"title": "By hand"}})
        (view,) = self.arrived(self.device(page), 1)
        self.assertEqual((view["page_title"], view["page_url"]), ("By hand", f"{self.shop.url}/quiet/2"))

    def test_marked_elements_are_clicks(self) -> None:
        page = self.open(self.profile())
        page.click("#buy b")
        page.click("#other")
        (click,) = self.arrived(self.device(page), 1, "event_type = 'click'")
        self.assertEqual(click["click_target"], "buy button")

    def test_all_links_and_buttons_are_clicks_where_asked_for(self) -> None:
        page = self.open(self.profile(), "/", "data-clicks=all")
        page.click("#other")
        page.click("h1")
        self.next(page)
        clicks = self.arrived(self.device(page), 2, "event_type = 'click'")
        targets = [click["click_target"] for click in clicks]
        self.assertEqual(targets, ["other", f"{self.shop.url}/next?data-clicks=all"])

    def test_pings_say_how_long_and_how_far_a_page_was_read(self) -> None:
        page = self.open(self.profile(), "/", "data-ping-s=1")
        page.mouse.wheel(0, 1200)
        pings = until("a ping", lambda: self.rows(self.device(page), "event_type = 'page_ping'"))
        self.assertTrue(0 < pings[0]["engaged_ms"] <= 3000, pings[0])
        self.assertTrue(20 < max(ping["scroll_depth_pct"] for ping in pings) < 100, pings)

    # ------------------------------------------------------------ typed events
    def test_a_purchase_is_an_order_once_however_often_it_is_told(self) -> None:
        page = self.open(self.profile())
        order = {
            "id": f"o-{self.device(page)}", "currency": "EUR", "amount": "49.80",
            "lines": [{"product_id": "42", "quantity": 2, "price": "24.90"}],
        }  # fmt: skip
        self.call(page, "track", "product_view", {"product": {"id": "42", "price": "24.90", "currency": "EUR"}})
        self.call(page, "track", "add_to_cart", {"product": {"id": "42", "quantity": 2}})
        first = self.call(page, "track", "purchase", {"order": order})
        again = self.call(page, "track", "purchase", {"order": order})
        self.assertNotEqual(first, again)
        rows = self.arrived(self.device(page), 5)
        self.assertEqual(rows[1]["product_id"], "42")
        self.assertEqual([row["event_id"] for row in rows[3:]], [first, again])
        orders = until("the order", lambda: self.millstream.query(
            f"select * from orders_current where order_id = '{order['id']}'"))  # fmt: skip
        self.assertEqual([(row["amount_minor"], row["currency"]) for row in orders], [(4980, "EUR")])

    def test_custom_events_keep_their_properties(self) -> None:
        page = self.open(self.profile())
        self.call(page, "custom", "wishlist", {"colour": "red", "sizes": [1, 2]})
        (custom,) = self.arrived(self.device(page), 1, "event_type = 'custom'")
        self.assertEqual(custom["custom_name"], "wishlist")
        self.assertEqual(json.loads(custom["properties"]), {"colour": "red", "sizes": [1, 2]})

    def test_identify_names_the_person_until_logout(self) -> None:
        page = self.open(self.profile())
        device = self.device(page)
        user = f"user-{device}"
        self.call(page, "identify", user)
        self.call(page, "track", "list_view")
        self.call(page, "logout")
        self.call(page, "track", "list_view")
        rows = self.arrived(device, 5)
        kinds = [row["event_type"] for row in rows]
        self.assertEqual(kinds, ["page_view", "identify", "list_view", "logout", "list_view"])
        self.assertEqual([row["person_user_id"] for row in rows[1:3]], [user] * 2)
        self.assertIsNone(rows[4]["person_user_id"])
        self.assertNotEqual(rows[4]["source"], rows[2]["source"])

    def test_calls_before_the_tracker_are_not_lost(self) -> None:
        context = self.profile()
        context.add_init_script("window.millstream = [['track', 'search', {search: {query: 'early', results: 1}}]]")
        page = self.open(context)
        rows = self.arrived(self.device(page), 2)
        self.assertEqual([row["event_type"] for row in rows], ["page_view", "search"])

    # ------------------------------------------------------------ consent
    def kept(self, page: Any) -> tuple[list[str], list[str]]:
        """Names of the cookies and of the stored items of a page."""
        cookies = [cookie["name"] for cookie in page.context.cookies()]
        return sorted(cookies), page.evaluate("Object.keys(localStorage)")

    def test_before_consent_nothing_is_stored_or_sent_and_then_nothing_is_lost(self) -> None:
        page = self.open(self.profile(), "/ask", "data-consent=required")
        self.call(page, "track", "list_view")
        page.wait_for_timeout(1500)
        self.assertEqual((self.kept(page), self.requests), (([], []), []))
        self.call(page, "consent", {"analytics": True, "advertising": False})
        rows = self.arrived(self.device(page), 3)
        self.assertEqual([row["event_type"] for row in rows], ["page_view", "list_view", "consent"])
        for row in rows:
            self.assertEqual(row["consent"] & (ANALYTICS | PERSONALIZATION | ADVERTISING), ANALYTICS)
        self.go(page, "/later", "data-consent=required")
        self.arrived(self.device(page), 4)

    def test_refused_consent_sends_nothing_ever(self) -> None:
        page = self.open(self.profile(), "/ask", "data-consent=required")
        self.call(page, "consent", {"analytics": False})
        self.assertIsNone(self.call(page, "track", "list_view"))
        self.go(page, "/later", "data-consent=required")
        page.click("#buy")
        page.wait_for_timeout(1500)
        self.assertEqual((self.kept(page), self.requests), ((["ms_consent"], []), []))

    def test_withdrawn_consent_is_told_once_and_everything_forgotten(self) -> None:
        page = self.open(self.profile())
        device = self.device(page)
        self.call(page, "consent", ["analytics", "personalization"])
        self.arrived(device, 2)
        self.call(page, "consent", [])
        self.assertIsNone(self.call(page, "track", "list_view"))
        self.assertEqual(self.kept(page), (["ms_consent"], []))
        sent = until("the last event", lambda: [r for r in self.requests if '"consent":["necessary"]' in r.post_data])
        self.assertEqual([event["type"] for event in json.loads(sent[0].post_data)["events"]], ["consent"])
        self.go(page, "/later")
        page.wait_for_timeout(1000)
        self.assertIs(self.requests[-1], sent[0])
        self.assertIsNone(page.evaluate("millstream.ids().device ?? null"))

    def test_global_privacy_control_takes_advertising_away(self) -> None:
        context = self.profile(extra_http_headers={"sec-gpc": "1"})
        context.add_init_script("Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})")
        page = self.open(context)
        self.call(page, "consent", {"analytics": True, "personalization": True, "advertising": True})
        rows = self.arrived(self.device(page), 2)
        self.assertEqual(rows[1]["consent"] & (ANALYTICS | ADVERTISING), ANALYTICS)
        self.assertIn('"consent":["necessary","analytics","personalization"]', self.requests[-1].post_data)

    # ------------------------------------------------------------ nothing lost, nothing twice
    def test_offline_and_back_every_event_arrives_once(self) -> None:
        context = self.profile()
        page = self.open(context)
        device = self.device(page)
        self.arrived(device, 1)
        context.set_offline(True)
        ids = [self.call(page, "track", "list_view") for _ in range(3)]
        page.wait_for_timeout(1500)
        self.assertEqual(len(self.rows(device)), 1)
        context.set_offline(False)
        rows = self.arrived(device, 3, "event_type = 'list_view'")
        self.assertEqual([row["event_id"] for row in rows], ids)

    def test_a_lost_answer_is_asked_for_again_and_counts_once(self) -> None:
        page = self.open(self.profile())
        device = self.device(page)
        self.arrived(device, 1)
        lost = []

        def lose(route: Any) -> None:
            if lost:
                route.continue_()
            else:
                lost.append(json.loads(route.fetch().text()))
                route.abort()

        page.route("**/v1/events*", lose)
        event = self.call(page, "track", "list_view")
        until("the repetition", lambda: page.wait_for_timeout(100) or sum(event in r.post_data for r in self.requests) == 2)
        self.call(page, "track", "search", {"search": {"query": "after"}})
        self.arrived(device, 1, "event_type = 'search'")
        self.arrived(device, 1, "event_type = 'list_view'")
        self.assertEqual(lost[0]["accepted"], 1)

    def test_what_a_closed_page_could_not_send_a_later_one_does(self) -> None:
        context = self.profile()
        page = self.open(context)
        device = self.device(page)
        self.arrived(device, 1)
        self.millstream.stop()
        try:
            event = self.call(page, "track", "list_view")
            page.wait_for_timeout(800)
            page.close()
        finally:
            self.millstream.start()
        page = self.open(context, "/later")
        self.assertEqual(self.device(page), device)
        rows = self.arrived(device, 1, "event_type = 'list_view'")
        self.assertEqual(rows[0]["event_id"], event)
        self.assertEqual(until("an empty queue", lambda: page.evaluate("Object.keys(localStorage)") == [] and [1]), [1])

    def test_closing_the_tab_sends_the_last_events(self) -> None:
        context = self.profile()
        page = self.open(context, "/", "data-batch-ms=60000")
        device = self.device(page)
        for _ in range(120):
            self.call(page, "track", "list_view")
        last = self.call(page, "custom", "last")
        page.close()
        self.assertEqual(self.arrived(device, 122)[-1]["event_id"], last)

    def test_leaving_by_a_link_sends_the_click_and_the_time_read(self) -> None:
        page = self.open(self.profile(), "/", "data-clicks=all&data-batch-ms=60000")
        device = self.device(page)
        page.mouse.move(10, 10)
        page.wait_for_timeout(1500)
        self.next(page)
        rows = self.arrived(device, 4, "true")[:3]
        self.assertEqual([row["event_type"] for row in rows], ["page_view", "click", "page_ping"])
        self.assertTrue(1000 <= rows[2]["engaged_ms"] <= 10_000)

    def test_a_collector_that_asks_for_patience_gets_it(self) -> None:
        page = self.open(self.profile())
        device = self.device(page)
        self.arrived(device, 1)
        at: list[float] = []

        def busy(route: Any) -> None:
            at.append(time.monotonic())
            if len(at) > 1:
                return route.continue_()
            headers = {"retry-after": "3", "access-control-allow-origin": "*", "access-control-expose-headers": "retry-after"}
            return route.fulfill(status=429, headers=headers, body="{}")

        page.route("**/v1/events*", busy)
        self.call(page, "track", "list_view")
        until("the second attempt", lambda: page.wait_for_timeout(100) or len(at) == 2)
        self.assertGreaterEqual(at[1] - at[0], 3)
        self.arrived(device, 1, "event_type = 'list_view'")

    def test_the_queue_and_the_requests_are_bounded_and_losses_are_told(self) -> None:
        context = self.profile()
        page = self.open(context)
        device = self.device(page)
        self.arrived(device, 1)
        context.set_offline(True)
        page.evaluate("for (let n = 0; n < 620; n++) millstream.custom('many', {n})")
        stored = page.evaluate("Object.values(localStorage).join('')")
        self.assertLessEqual(len(json.loads(stored)["events"]), 500)
        self.assertLessEqual(len(stored), 250_000)
        self.requests.clear()
        context.set_offline(False)
        until("an empty queue", lambda: page.wait_for_timeout(100) or page.evaluate("Object.keys(localStorage).length") == 0)
        self.call(page, "custom", "after")
        rows = self.arrived(device, 1, "custom_name = 'after'")
        self.arrived(device, int(self.rows(device, "custom_name = 'many'").__len__()), "custom_name = 'many'")
        many = self.rows(device, "custom_name = 'many'")
        dropped = sum(json.loads(row["properties"]).get("tracker_dropped", 0) for row in many + rows)
        self.assertEqual(len(many) + dropped, 620)
        self.assertLessEqual(len(many), 500)
        for request in self.requests:
            self.assertLess(len(request.post_data.encode()), 65_536)
            self.assertLessEqual(len(json.loads(request.post_data)["events"]), 50)

    # ------------------------------------------------------------ device and session
    def cookie(self, context: Any, name: str) -> dict[str, Any]:
        return next(cookie for cookie in context.cookies() if cookie["name"] == name)

    def test_the_device_outlives_a_reload_and_the_session_a_page(self) -> None:
        context = self.profile()
        page = self.open(context)
        before = page.evaluate("millstream.ids()")
        page.reload()
        tracked(page)
        self.go(page, "/another")
        self.assertEqual(page.evaluate("millstream.ids()"), before)
        rows = self.arrived(before["device"], 3)
        self.assertEqual({row["tracker_session_id"] for row in rows}, {before["session"]})
        self.assertEqual([row["sequence"] for row in rows], [1, 2, 3])
        days = (self.cookie(context, "ms_device")["expires"] - time.time()) / 86_400
        self.assertTrue(394 < days < 396, days)

    def test_thirty_quiet_minutes_end_the_session_and_not_the_device(self) -> None:
        context = self.profile()
        page = self.open(context)
        before = page.evaluate("millstream.ids()")
        session, sequence, at = self.cookie(context, "ms_session")["value"].split(".")
        long_ago = int(at, 36) - 31 * 60_000
        page.evaluate("text => document.cookie = 'ms_session=' + text + ';path=/'", f"{session}.{sequence}.{base36(long_ago)}")
        self.call(page, "track", "list_view")
        after = page.evaluate("millstream.ids()")
        self.assertEqual(after["device"], before["device"])
        self.assertNotEqual(after["session"], before["session"])
        rows = self.arrived(before["device"], 2)
        self.assertEqual([row["tracker_session_id"] for row in rows], [before["session"], after["session"]])

    def test_two_tabs_share_device_and_session(self) -> None:
        context = self.profile()
        one = self.open(context, "/one")
        two = self.open(context, "/two")
        self.call(one, "track", "list_view")
        self.call(two, "track", "list_view")
        self.assertEqual(one.evaluate("millstream.ids()"), two.evaluate("millstream.ids()"))
        rows = self.arrived(self.device(one), 4)
        self.assertEqual(sorted(row["sequence"] for row in rows), [1, 2, 3, 4])
        self.assertEqual(len({row["tracker_session_id"] for row in rows}), 1)

    def test_consent_withdrawn_in_one_tab_holds_in_the_other(self) -> None:
        context = self.profile()
        one, two = self.open(context, "/one"), self.open(context, "/two")
        self.call(one, "consent", [])
        self.assertIsNone(self.call(two, "track", "list_view"))

    def test_a_page_that_may_keep_nothing_still_counts(self) -> None:
        page = self.profile().new_page()
        page.goto(self.shop.url + "/sandbox")
        frame = until("the frame", lambda: next((f for f in page.frames if f.url.endswith("/inside")), None))
        tracked(frame)
        frame.evaluate("millstream.track('list_view')")
        ids = frame.evaluate("millstream.ids()")
        rows = self.arrived(ids["device"], 2)
        self.assertEqual({row["tracker_session_id"] for row in rows}, {ids["session"]})
        self.assertEqual(page.context.cookies(), [])


def base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = digits[digit] + text
    return text


class Source(Served):
    """The source itself: it must behave as what is built of it."""

    def profile(self, **options: Any) -> Any:
        context = super().profile(**options)
        context.route("**/tracker.js", lambda route: route.fulfill(
            path=TRACKER / "tracker.js", content_type="text/javascript"))  # fmt: skip
        return context


if __name__ == "__main__":
    unittest.main()
