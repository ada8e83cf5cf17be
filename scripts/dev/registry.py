"""A schema registry with the Confluent API: Apicurio, with its data in a file of the instance."""

from __future__ import annotations

import json
import urllib.request

from . import cache, pins
from .clickhouse import answers
from .instance import Instance

KIND = "registry"
READY_LIMIT_S = 90

_WHY = f"runs the Apicurio registry {pins.APICURIO}"
_JVM = ["-Xms64m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


def port_names(_instance: Instance) -> list[str]:
    """The API, and Quarkus's own health and metrics, which would otherwise take port 9000 of every address."""
    return ["http", "management"]


def prepare(_instance: Instance) -> None:
    """Finds or downloads the registry and a Java for it; raises `cache.Missing`."""
    cache.java_or_wheel(pins.APICURIO_MINIMUM_JAVA, _WHY)
    cache.maven_artifacts("registry", pins.APICURIO)


def launch(instance: Instance) -> None:
    """Starts the registry."""
    port = instance.state.ports["http"]
    instance.state.exports = {"SCHEMA_REGISTRY_URL": f"http://127.0.0.1:{port}/apis/ccompat/v7"}
    java = cache.java_or_wheel(pins.APICURIO_MINIMUM_JAVA, _WHY)
    # The property is read by nobody: it puts the data directory on the command line, by which `Instance` knows its own.
    command = [java, *_JVM, f"-Dmillstream.instance={instance.data}", "-jar", "quarkus-run.jar"]
    environment = {
        "QUARKUS_HTTP_HOST": "127.0.0.1",
        "QUARKUS_HTTP_PORT": str(port),
        "QUARKUS_MANAGEMENT_HOST": "127.0.0.1",
        "QUARKUS_MANAGEMENT_PORT": str(instance.state.ports["management"]),
        "QUARKUS_LOG_LEVEL": "WARN",
        "APICURIO_STORAGE_KIND": "sql",
        "APICURIO_STORAGE_SQL_KIND": "h2",
        "APICURIO_DATASOURCE_URL": f"jdbc:h2:file:{instance.data / 'db'}",
    }
    instance.spawn(command, environment, cache.maven_artifacts("registry", pins.APICURIO))


def ready(instance: Instance) -> bool:
    """Whether the Confluent API answers."""
    return answers(f"{instance.state.exports['SCHEMA_REGISTRY_URL']}/subjects")


def after_ready(instance: Instance) -> None:
    """Sets the compatibility that a Confluent registry has from the start; Apicurio's own default is NONE."""
    request = urllib.request.Request(
        f"{instance.state.exports['SCHEMA_REGISTRY_URL']}/config",
        data=json.dumps({"compatibility": "BACKWARD"}).encode(),
        headers={"Content-Type": "application/json"},
        method="PUT",
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        answer.read()
