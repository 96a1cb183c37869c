"""A library in memory: records, rules, holds and a store that can be made to fail at every step. No mocks."""
