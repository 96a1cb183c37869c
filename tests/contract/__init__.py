"""One suite that every store passes: `harness` says how a store is plugged in, `test_contract` what it must do."""
