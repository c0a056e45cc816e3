"""The only place that knows FastStream, aiokafka and asyncpg."""
