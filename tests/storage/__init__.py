"""Tests of the stores, room by room as in `storage`."""
