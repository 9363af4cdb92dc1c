"""Mailloom on AWS: one CDK app, three stages. `python -m infra --help`; docs/aws.md."""
