"""Apache Kafka without Docker, from the class path that ``tests.support.parts`` fetches."""

from tests.support.kafka.cluster import apache_kafka, three_nodes
from tests.support.kafka.node import KafkaNode

__all__ = ["KafkaNode", "apache_kafka", "three_nodes"]
