"""The fault sweep: the program is hit by every fault at every point of its journal, then undone.

`pipelines` says what the program is asked to do; `points` counts the places where a fault can hit and lets
one hit, from outside of the product; `trial` runs one fault in a process of its own, undoes, and looks what
is left; `sweep` runs them all (`python -m tests.faults.sweep`).
"""
