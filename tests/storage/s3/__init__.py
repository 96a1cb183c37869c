"""Buckets, on moto and on LocalStack."""
