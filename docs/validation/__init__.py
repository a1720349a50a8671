"""The validation page: every number and figure of it is computed by `make validation`."""
