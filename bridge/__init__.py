"""Frames, sound and control over ZeroMQ: schema, codec, server, Python client, recorder."""
