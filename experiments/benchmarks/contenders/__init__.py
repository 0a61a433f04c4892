"""The networks of `speed.py` in each framework; each file is the program of a child process."""
