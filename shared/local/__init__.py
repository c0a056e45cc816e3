"""The embedded Kafka and PostgreSQL: installed by pip, run on loopback, gone with their parent."""
