"""Tests of what decides and proves."""
