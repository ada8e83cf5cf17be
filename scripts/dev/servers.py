"""Starting servers: one for the `dev-*` commands, several for `with-servers` and `test`."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from . import cache, clickhouse, kafka, registry, s3
from .instance import Instance, ServerFailed, free_ports, is_free

KINDS: dict[str, ModuleType] = {module.KIND: module for module in (kafka, clickhouse, registry, s3)}

# What `with-servers` can start: the kind, its options, and the first variable that it exports.
NAMED: dict[str, tuple[str, dict[str, str], str]] = {
    "kafka": ("kafka", {}, "KAFKA_BROKERS"),
    "kafka-tls": ("kafka", {"tls": "yes"}, "KAFKA_TLS_BROKERS"),
    "clickhouse": ("clickhouse", {}, "CLICKHOUSE_URL"),
    "registry": ("registry", {}, "SCHEMA_REGISTRY_URL"),
    "s3": ("s3", {}, "S3_ENDPOINT"),
}

_PORT_ATTEMPTS = 3


def begin(instance: Instance, port: int | None = None) -> None:
    """Downloads, configures and spawns; `finish` waits. The ports of an earlier run with this directory are kept."""
    module = KINDS[instance.state.kind]
    module.prepare(instance)
    names = module.port_names(instance)
    ports = instance.state.ports if all(name in instance.state.ports for name in names) else {}
    if not ports:
        ports = dict(zip(names, free_ports(len(names))))
    if port is not None:
        ports[names[0]] = port
    for name, number in ports.items():
        if not is_free(number):
            raise ServerFailed(f"port {number} ({name}) is taken by another process: stop it, or name another --port")
    instance.state.ports = ports
    instance.data.mkdir(parents=True, exist_ok=True)
    module.launch(instance)
    instance.save()


def finish(instance: Instance) -> None:
    """Waits until the server answers and sets what can only be set on a running one."""
    module = KINDS[instance.state.kind]
    instance.wait_ready(lambda: module.ready(instance), module.READY_LIMIT_S)
    module.after_ready(instance)


def start(instance: Instance, port: int | None = None) -> None:
    """`begin` and `finish`; where the ports were ours to choose, a lost race for one is tried again with others."""
    chosen_by_us = port is None and not instance.state.ports
    for attempt in range(1, _PORT_ATTEMPTS + 1):
        begin(instance, port)
        try:
            return finish(instance)
        except ServerFailed:
            instance.stop()
            taken = not all(is_free(number) for number in instance.state.ports.values())
            if not (chosen_by_us and taken) or attempt == _PORT_ATTEMPTS:
                raise
            instance.state.ports = {}
    return None


@contextlib.contextmanager
def running(names: list[str], optional: bool = False) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Runs the named servers on free ports with temporary data: (variables to set, {name: why it is missing}).

    A server whose variable is set already is used where it is. With `optional`, one that cannot be had is reported in
    the second mapping; without, it raises. However the block ends, every server started here is stopped.
    """
    exports: dict[str, str] = {}
    missing: dict[str, str] = {}
    started: dict[str, Instance] = {}
    folder = Path(tempfile.mkdtemp(prefix="millstream-servers-"))
    try:
        for name in names:
            kind, options, variable = NAMED[name]
            if os.environ.get(variable):
                cache.note(f"{name}: using {variable}={os.environ[variable]}")
                continue
            instance = Instance(kind, folder / name)
            instance.state.options = dict(options)
            try:
                # Spawned one after the other, awaited together: the slowest sets the time.
                begin(instance)
                started[name] = instance
            except (cache.Missing, ServerFailed) as error:
                _report(missing, name, error, optional)
        for name, instance in list(started.items()):
            try:
                finish(instance)
            except ServerFailed as first:
                cache.note(f"{name}: {first}\n{name}: trying once more on other ports")
                try:
                    instance.stop()
                    instance.state.ports = {}
                    start(instance)
                except (cache.Missing, ServerFailed) as error:
                    _report(missing, name, error, optional)
                    continue
            found = _exports_of(name, instance)
            cache.note(
                f"{name}: ready, {' '.join(f'{key}={value}' for key, value in found.items() if not _is_secret(key))}"
            )
            exports |= found
        yield exports, missing
    finally:
        for instance in started.values():
            with contextlib.suppress(ServerFailed):
                instance.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _is_secret(name: str) -> bool:
    return "PASSW" in name or "SECRET" in name


def _report(missing: dict[str, str], name: str, error: Exception, optional: bool) -> None:
    if not optional:
        raise error
    missing[name] = str(error)
    cache.note(f"{name}: not available: {error}")


def _exports_of(name: str, instance: Instance) -> dict[str, str]:
    """The variables of one named server, with its data directory for those who kill it and start it again."""
    exports = dict(instance.state.exports)
    if name == "kafka-tls":
        del exports["KAFKA_BROKERS"]  # that name belongs to the plain broker
    exports[f"MILLSTREAM_{name.upper().replace('-', '_')}_DEV_DATA"] = str(instance.data)
    return exports
