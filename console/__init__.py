"""The ways in for people; refuses to touch a record except through flows and storage."""
