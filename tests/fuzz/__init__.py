"""Fuzzing: damaged headers, tables and superblocks, seeded; see README.md beside this."""
