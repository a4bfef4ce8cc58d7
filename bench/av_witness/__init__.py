"""What `bench.av` sees and hears with: a simulated loudspeaker, and ways to tell moments from content alone."""
