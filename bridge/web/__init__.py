"""Avatars in a browser: the page and its files over HTTP, the bridge's messages over WebSocket, one port for both."""
