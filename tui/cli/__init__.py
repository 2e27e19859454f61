"""The command line: the other face of the core. One module for each family of verbs."""
