"""Records in buckets of S3 and of servers that speak its protocol: every version, delete marker and unfinished upload."""
