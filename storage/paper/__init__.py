"""The certificate for people: a signed PDF made from the envelope alone, and the reading of one that came back."""
