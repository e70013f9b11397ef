"""The Kafka side: topics, the log, the gateway, replay and the command line."""
