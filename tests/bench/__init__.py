"""What the program costs, beside what one would use instead: `make bench`. Ratios, measured in one run."""
