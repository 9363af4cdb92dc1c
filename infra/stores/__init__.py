"""The stack of what is read: Aurora PostgreSQL, OpenSearch, Parquet with Glue and Athena."""
