"""Studies of training that take minutes to hours: each a program of its own, none of them part of `gstalker bench`."""
