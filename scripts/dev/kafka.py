"""A real Apache Kafka: one node, broker and controller in one process, for development and tests.

With `tls` it listens besides on SASL over TLS (PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512, one user) and on mutual TLS,
with certificates made for the instance.
"""

from __future__ import annotations

import base64
import secrets
import socket
import struct
import subprocess
import uuid
from pathlib import Path

from . import cache, certificates, pins
from .instance import Instance, ServerFailed

KIND = "kafka"
READY_LIMIT_S = 60
USER = "millstream"

_JVM = ["-Xms64m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
_LOG_LEVEL = [
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
    # Which coordinators are loaded and unloaded: the first question when a group stands still.
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.coordinator.common=info",
]
_TEN_YEARS_MS = 10 * 365 * 24 * 3600 * 1000
_LONG_MAX = 2**63 - 1


def port_names(instance: Instance) -> list[str]:
    """The listeners that need a port; the first is the one that `--port` names."""
    tls = ["sasl_ssl", "mtls"] if instance.state.options.get("tls") else []
    return ["plaintext", "controller", *tls]


def prepare(instance: Instance) -> None:
    """Finds or downloads what this instance needs; raises `cache.Missing`."""
    cache.java(pins.KAFKA_MINIMUM_JAVA, f"runs Kafka {pins.KAFKA} (package openjdk-17-jre-headless)")
    cache.maven_artifacts("kafka", pins.KAFKA)
    if instance.state.options.get("tls"):
        cache.need_tool("openssl", "it makes the certificates of the TLS listeners")


def launch(instance: Instance) -> None:
    """Writes the configuration, formats a new data directory, starts the broker."""
    _same_version(instance)
    tls = bool(instance.state.options.get("tls"))
    password = instance.state.exports.get("KAFKA_TLS_PASSWORD") or secrets.token_hex(16)
    if tls and not (instance.data / "certs").exists():
        certificates.make(instance.data / "certs")
    instance.state.exports = _exports(instance, password if tls else "")
    properties = instance.data / "server.properties"
    properties.touch(mode=0o600)
    properties.write_text(_properties(instance, password if tls else ""), encoding="utf-8")

    java = cache.java(pins.KAFKA_MINIMUM_JAVA, "runs Kafka")
    base = [java, *_JVM, *_LOG_LEVEL, "-cp", f"{cache.maven_artifacts('kafka', pins.KAFKA)}/*"]
    if not (instance.data / "log" / "meta.properties").exists():
        _format(base, instance, properties, password if tls else "")
    instance.spawn([*base, "kafka.Kafka", str(properties)], {})


def ready(instance: Instance) -> bool:
    """Whether the broker answers a request (an open port alone says less)."""
    request = struct.pack(">hhih", 18, 0, 1, -1)  # ApiVersions, version 0, correlation id 1, no client id
    try:
        with socket.create_connection(("127.0.0.1", instance.state.ports["plaintext"]), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as stream:
                length = stream.read(4)
                answer = stream.read(struct.unpack(">i", length)[0]) if len(length) == 4 else b""
    except OSError:
        return False
    return len(answer) >= 6 and struct.unpack(">ih", answer[:6]) == (1, 0)


def after_ready(_instance: Instance) -> None:
    """Nothing more: topics are made by those who use them."""


def _same_version(instance: Instance) -> None:
    """Data of another version are not started on: an older broker cannot read a newer one's."""
    made_by = instance.state.options.get("version")
    if (instance.data / "log" / "meta.properties").exists() and made_by != pins.KAFKA:
        raise ServerFailed(
            f"{instance.data} holds data of another version of Kafka than {pins.KAFKA}: "
            "remove that folder, or name another --data"
        )
    instance.state.options["version"] = pins.KAFKA


def _format(base: list[str], instance: Instance, properties: Path, password: str) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    scram = []
    if password:
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            scram += ["--add-scram", f"{mechanism}=[name={USER},password={password}]"]
    # `--cluster-id=…`, because an id may begin with a dash.
    command = [
        *base,
        "kafka.tools.StorageTool",
        "format",
        f"--cluster-id={cluster}",
        "--config",
        str(properties),
        *scram,
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise ServerFailed(f"Kafka could not format {instance.data}/log:\n{done.stdout}")


def _exports(instance: Instance, password: str) -> dict[str, str]:
    ports, certs = instance.state.ports, instance.data / "certs"
    exports = {"KAFKA_BROKERS": f"127.0.0.1:{ports['plaintext']}"}
    if password:
        exports |= {
            "KAFKA_TLS_BROKERS": f"localhost:{ports['sasl_ssl']}",
            "KAFKA_TLS_CA": str(certs / "ca.pem"),
            "KAFKA_TLS_USER": USER,
            "KAFKA_TLS_PASSWORD": password,
            "KAFKA_MTLS_BROKERS": f"localhost:{ports['mtls']}",
            "KAFKA_MTLS_CERT": str(certs / "client.pem"),
            "KAFKA_MTLS_KEY": str(certs / "client.key"),
        }
    return exports


def _properties(instance: Instance, password: str) -> str:
    ports = instance.state.ports
    listeners = [f"PLAINTEXT://127.0.0.1:{ports['plaintext']}"]
    if password:
        # Advertised by name, as a production broker is, so that clients check the name in the certificate.
        listeners += [f"SASL_SSL://localhost:{ports['sasl_ssl']}", f"MTLS://localhost:{ports['mtls']}"]
    lines = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{ports['controller']}",
        "listeners": ",".join([*listeners, f"CONTROLLER://127.0.0.1:{ports['controller']}"]),
        "advertised.listeners": ",".join(listeners),
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,MTLS:SSL",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": instance.data / "log",
        # A misspelt topic is an error, not a new topic.
        "auto.create.topics.enable": "false",
        # History: records may carry times of any year, in any order, and are not deleted or cut into segments by them.
        "log.message.timestamp.before.max.ms": _LONG_MAX,
        "log.message.timestamp.after.max.ms": _LONG_MAX,
        "log.retention.ms": -1,
        "log.roll.ms": _TEN_YEARS_MS,
        # One node: internal topics cannot have three replicas; few partitions start faster.
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # Tests of rebalances and crashes: short sessions allowed, groups form at once, hung transactions end soon.
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "group.consumer.min.session.timeout.ms": 1000,
        "group.consumer.session.timeout.ms": 6000,
        "group.consumer.min.heartbeat.interval.ms": 200,
        "group.consumer.heartbeat.interval.ms": 500,
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
        # After kill -9 the old registration must time out before the broker may come back: 9 s by default.
        "broker.session.timeout.ms": 1500,
        "broker.heartbeat.interval.ms": 300,
        # A small heap: the log cleaner alone would take 128 MiB, and each segment maps its index in full.
        "log.cleaner.dedupe.buffer.size": 4 * 1024 * 1024,
        "log.index.size.max.bytes": 1024 * 1024,
        "log.segment.bytes": 64 * 1024 * 1024,
        "num.network.threads": 2,
        "num.io.threads": 2,
        "background.threads": 2,
    }
    if password:
        certs, login = instance.data / "certs", "org.apache.kafka.common.security"
        scram = f"{login}.scram.ScramLoginModule required;"
        lines |= {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": certs / "broker.pem",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": certs / "ca.pem",
            "listener.name.mtls.ssl.client.auth": "required",
            "listener.name.sasl_ssl.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": (
                f'{login}.plain.PlainLoginModule required user_{USER}="{password}";'
            ),
            "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": scram,
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": scram,
        }
    return "".join(f"{key}={value}\n" for key, value in lines.items())
