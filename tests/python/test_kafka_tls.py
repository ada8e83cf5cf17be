"""The TLS listeners: who may come in, and who may not."""

import os
import unittest

try:
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient
except ImportError:
    AdminClient = None

ENVIRONMENT = os.environ


@unittest.skipIf(AdminClient is None, "confluent-kafka is not installed")
@unittest.skipUnless(ENVIRONMENT.get("KAFKA_TLS_BROKERS"), "KAFKA_TLS_BROKERS is not set")
class KafkaTls(unittest.TestCase):
    """Metadata is served to those who log in."""

    def brokers(self, address, **settings):
        """How many brokers a client with these settings sees; what went wrong on the way is in `self.errors`."""
        self.errors = []
        config = {
            "bootstrap.servers": ENVIRONMENT[address],
            "ssl.ca.location": ENVIRONMENT["KAFKA_TLS_CA"],
            "reconnect.backoff.ms": 1000,
            "log_level": 0,
            "error_cb": lambda error: self.errors.append(error.code()),
        }
        client = AdminClient(config | {name.replace("_", "."): value for name, value in settings.items()})
        try:
            return len(client.list_topics(timeout=5).brokers)
        finally:
            client.poll(0)

    def sasl(self, mechanism, password):
        return self.brokers(
            "KAFKA_TLS_BROKERS",
            security_protocol="SASL_SSL",
            sasl_mechanism=mechanism,
            sasl_username=ENVIRONMENT["KAFKA_TLS_USER"],
            sasl_password=password,
        )

    def test_plain_and_scram_log_in(self):
        for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
            self.assertGreaterEqual(self.sasl(mechanism, ENVIRONMENT["KAFKA_TLS_PASSWORD"]), 1)

    def test_a_wrong_password_does_not(self):
        for mechanism in ("PLAIN", "SCRAM-SHA-512"):
            with self.assertRaises(KafkaException):
                self.sasl(mechanism, "wrong")
            self.assertIn(KafkaError._AUTHENTICATION, self.errors)

    @unittest.skipUnless(ENVIRONMENT.get("KAFKA_MTLS_BROKERS"), "KAFKA_MTLS_BROKERS is not set")
    def test_mutual_tls_wants_a_certificate(self):
        certificate = {
            "ssl_certificate_location": ENVIRONMENT.get("KAFKA_MTLS_CERT"),
            "ssl_key_location": ENVIRONMENT.get("KAFKA_MTLS_KEY"),
        }
        self.assertGreaterEqual(self.brokers("KAFKA_MTLS_BROKERS", security_protocol="SSL", **certificate), 1)
        with self.assertRaises(KafkaException):
            self.brokers("KAFKA_MTLS_BROKERS", security_protocol="SSL")


if __name__ == "__main__":
    unittest.main()
