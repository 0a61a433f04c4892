"""The networks of `speed.py`, once per framework; each file is a child process that answers on a pipe."""
