"""The programme's decisions: arrays and records in, records with reasons out."""
