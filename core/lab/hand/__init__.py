"""A lab by hand: a prompt that takes a command, tells what it would do, and runs it in the lab only."""
