"""Alerts, the pages of docs/operate and the source say the same."""

import re
import shlex
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "operate"
ALERTS = ROOT / "infra" / "prometheus" / "alerts.yaml"
COMMAND_LINE = ROOT / "pipelines" / "millstream" / "src" / "cli.rs"

# Written by others: the node exporter's, and what verify-differs.md has a cron line write.
FOREIGN = {"millstream_verify_exit_code", "millstream_verify_timestamp_seconds"}


def alerts():
    """Each alert's text by its name."""
    parts = re.split(r"^      - alert: (\w+)\n", ALERTS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def metrics():
    """Names of metrics as the source has them, those that it puts together included."""
    found = set()
    for path in (ROOT / "pipelines").glob("*/src/**/*.rs"):
        source = path.read_text(encoding="utf-8")
        found |= set(re.findall(r'"(millstream_[a-z_]+)"', source))
        if prefix := re.search(r'format!\("(millstream_[a-z]+_)\{name\}"\)', source):
            found |= {prefix[1] + name for name in re.findall(r'(?:\(|opts\()\s*"([a-z_]+)",\s*"', source)}
    return found


def named_metrics(text):
    """The metrics that a text names; `millstream_deliver_*` and the like are families, not names."""
    return {name for name in re.findall(r"\bmillstream_[a-z_]+\b(?!\*)", text) if not name.endswith("_")}


def variants(enum, source):
    """Variants of a command's enumeration: their names as they are typed, and the type of their arguments."""
    body = re.search(rf"pub enum {enum} \{{\n(.*?)^\}}", source, re.MULTILINE | re.DOTALL)[1]
    variant = r'(?:^    #\[command\(name = "([\w-]+)"\)\]\n)?^    (\w+)(?:\((\w+)\)| \{|,)'
    listed = re.findall(variant, body, re.MULTILINE)
    return {own or re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower(): arguments for own, name, arguments in listed}


def options(name, source):
    """Long options that a command takes, those of flattened structures included."""
    body = re.search(rf"(?:pub struct {name}|^    {name}) \{{\n(.*?)^ *\}}", source, re.MULTILINE | re.DOTALL)
    found = set()
    argument = r"#\[(?:arg|command)\(([^\n]*)\)\]\n\s+(?:pub )?(\w+): ([\w<>]+)"
    for attribute, field, kind in re.findall(argument, body[1]) if body else []:
        if "flatten" in attribute:
            found |= options(kind, source)
        elif re.search(r"\blong\b", attribute):
            found.add("--" + field.replace("_", "-"))
    return found


def command_lines(text):
    """Lines of code that begin with `millstream `, in blocks and in the text."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in re.sub(r"\\\n", " ", block).splitlines()]
    spans = re.findall(r"`(millstream [^`]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL))
    found = [line for line in lines if line.startswith("millstream ")] + [" ".join(span.split()) for span in spans]
    return [line.split(";")[0] for line in found]


class Operate(unittest.TestCase):
    """What an operator is told exists."""

    def test_every_alert_names_a_page_that_names_it(self):
        self.assertGreater(len(alerts()), 20)
        for name, text in alerts().items():
            with self.subTest(name):
                page = ROOT / re.search(r"runbook: (\S+)", text)[1]
                self.assertEqual(page.parent, PAGES)
                self.assertTrue(page.is_file(), page)
                self.assertIn(f"`{name}`", page.read_text(encoding="utf-8"))

    def test_every_page_names_an_alert_and_a_metric_and_is_in_the_list(self):
        known, defined, listed = metrics(), alerts(), (PAGES / "README.md").read_text(encoding="utf-8")
        self.assertIn("millstream_stage", known)
        self.assertIn("millstream_deliver_sink_up", known)
        for page in PAGES.glob("*.md"):
            if page.name == "README.md":
                continue
            text = page.read_text(encoding="utf-8")
            with self.subTest(page.name):
                self.assertIn(f"]({page.name})", listed)
                named = set(re.findall(r"`(Millstream\w+)`", text))
                self.assertTrue(named)
                self.assertEqual(named - set(defined), set())
                self.assertTrue(named_metrics(text) & known, "no metric of ours")
                for part in ("## What happens", "## What is seen", "## What to do"):
                    self.assertIn(part, text)

    def test_every_metric_that_is_named_is_in_the_source(self):
        known = metrics() | FOREIGN
        for path in (*PAGES.glob("*.md"), ALERTS, ALERTS.with_name("alerts.test.yaml")):
            with self.subTest(path.name):
                self.assertEqual(named_metrics(path.read_text(encoding="utf-8")) - known, set())

    def test_every_count_of_a_stage_is_in_the_source(self):
        source = (ROOT / "pipelines/millstream/src/metrics.rs").read_text(encoding="utf-8")
        counts = set(re.findall(r'(?:\("|\[name, ")(\w+)"(?:, \|stats\||\])', source))
        for path in (*PAGES.glob("*.md"), ALERTS):
            for count in re.findall(r'what="(\w+)"', path.read_text(encoding="utf-8")):
                with self.subTest(path.name, count=count):
                    self.assertIn(count, counts)

    def test_every_command_line_is_one_that_the_program_takes(self):
        source = COMMAND_LINE.read_text(encoding="utf-8")
        commands = variants("Command", source)
        self.assertIn("as-of", commands)
        seen = 0
        for page in PAGES.glob("*.md"):
            for line in command_lines(page.read_text(encoding="utf-8")):
                seen += 1
                with self.subTest(page.name, line=line):
                    words = shlex.split(line)[1:]
                    self.assertIn(words[0], commands)
                    arguments, taken = commands[words[0]], set()
                    structure = re.search(rf"pub struct {arguments} \{{\n(.*?)^\}}", source, re.MULTILINE | re.DOTALL)
                    inner = structure and re.search(r"#\[command\(subcommand\)\]\n\s+pub \w+: (\w+)", structure[1])
                    if inner:
                        below = variants(inner[1], source)
                        self.assertIn(words[1], below)
                        taken = options(below[words[1]] or words[1].title().replace("-", ""), source)
                    elif arguments:
                        taken = options(arguments, source)
                    used = {word.split("=")[0] for word in words if word.startswith("--")}
                    self.assertEqual(used - taken - {"--config", "--log-json"}, set())
        self.assertGreater(seen, 15)

    def test_links_lead_somewhere(self):
        for page in PAGES.glob("*.md"):
            for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
                with self.subTest(page.name, target=target):
                    self.assertTrue((page.parent / target).exists())


if __name__ == "__main__":
    unittest.main()
