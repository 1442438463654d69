"""Files of OTLP lines to an endpoint: what ``trainwarden ship`` does."""
