"""Pictures in an S3-compatible bucket: what a bucket is called, and the only package that speaks to one."""

from pipeline.bucket.address import BucketAddress, in_bucket, parse_address
from pipeline.bucket.bucket import Bucket, open_bucket
from pipeline.bucket.contents import Contents
from pipeline.bucket.looking import Look, look_at

__all__ = [
    "Bucket",
    "BucketAddress",
    "Contents",
    "Look",
    "in_bucket",
    "look_at",
    "open_bucket",
    "parse_address",
]
