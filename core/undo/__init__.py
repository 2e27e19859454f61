"""Every change to the host is a pair: a command and what undoes it, written down before it is run.

`pairs` says what kinds of things can be put up and how each is recognised again and taken down;
`journal` is the record on disk; `stack` puts up and takes down; `leftovers` finds what dead sessions left.
"""
