"""The functions of the package: one for each operation, grouped by noun, all on the default client."""
