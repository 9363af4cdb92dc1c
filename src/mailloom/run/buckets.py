"""Buckets, as this process's own AWS credentials see them."""

from __future__ import annotations

from mailloom.ports import Blobs, UserError

CONNECTIONS = 32


def open_bucket(bucket: str, *, region: str = "", endpoint_url: str = "") -> Blobs:
    """The objects of a bucket. Credentials, and what is not given, are found as boto3 finds them (environment, ~/.aws, the role of the
    machine). Raises UserError where the libraries are missing.
    """
    try:
        import boto3
        from botocore.config import Config

        from mailloom.stores.s3 import S3Blobs
    except ModuleNotFoundError as error:
        raise UserError(
            f'{error.name} is needed to read s3://{bucket} and not installed: pip install "mailloom[aws]"'
        ) from None
    session = boto3.Session(region_name=region or None)
    config = Config(max_pool_connections=CONNECTIONS, retries={"mode": "standard", "max_attempts": 4})
    client = session.client("s3", endpoint_url=endpoint_url or None, config=config)
    return S3Blobs(client, bucket, session.get_credentials())
