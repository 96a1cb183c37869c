"""The certificate on paper: printed, signed, examined."""
