"""Real servers on loopback, for tests and for a desk: pinned, fetched once, started and stopped by one command.

PostgreSQL, Valkey, DynamoDB Local, OpenSearch, and ministack for the rest of AWS. `python -m services --help`.
"""
