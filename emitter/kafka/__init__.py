"""What speaks to Kafka: commands, and the exporter of ``kafka://`` endpoints. Needs the extra ``kafka``."""
